import { once } from "node:events";
import { WebSocket } from "ws";
import { ConflictError } from "../errors";
import type { ClusterView } from "../hosts/cluster-view";
import { endView, MOST_WAITING } from "./live-views";
import { connectPinned } from "./pinned-connection";

/** Reasons for the end that a viewer is told as the host has: RFC 6455, 7.4.1. Others are those of its connection with this server. */
const TOLD = [1000, 1001, 1008];
const FAILED = 1011;

/**
 * Joins a viewer with a machine of another host, which the cluster knows: that host reads what the viewer sends, and says why it ends.
 *
 * @param number the analysis, by its number in this lab
 * @param signal ends the opening
 * @throws ConflictError when no host has it now, or its host shows no machines
 */
export async function openRemoteView(
  cluster: Pick<ClusterView, "findAnalysis" | "findLive">,
  number: number,
  { socket, kind, mayType, signal }: { readonly socket: WebSocket; readonly kind: "screen" | "console"; readonly mayType: boolean; readonly signal: AbortSignal }, // prettier-ignore
): Promise<string> {
  const found = await cluster.findAnalysis(number);
  if (found?.host === undefined || found.outcome !== undefined || found.phase === "queued")
    throw new ConflictError(`analysis ${number} has no machine yet: ${found?.phase ?? "queued"}`);
  const live = await cluster.findLive(found.host);
  if (live === undefined) throw new ConflictError(`its machine is on the host ${found.host}, which shows none; start that with rebox host --live`); // prettier-ignore
  const address = `${live.url}/live/${found.id}/${kind}?control=${mayType ? "yes" : "no"}`;
  const pin = live.fingerprint === undefined ? {} : { createConnection: connectPinned(live.fingerprint) };
  const remote = new WebSocket(address, { headers: { authorization: `Bearer ${live.word}` }, ...pin });
  // Its first words may come with the answer to the handshake.
  pass(remote, socket);
  let isOpen = false;
  remote.once("open", () => (isOpen = true));
  // Behind its last bytes. Before it was open the reason is told below.
  remote.on("close", (code, reason) => (isOpen ? endView(socket, TOLD.includes(code) ? code : FAILED, String(reason) || "the host is gone") : undefined)); // prettier-ignore
  remote.on("error", () => remote.terminate());
  socket.on("close", () => remote.terminate());
  try {
    await once(remote, "open", { signal });
  } catch (error) {
    remote.terminate();
    throw new ConflictError(`the host ${found.host} cannot be reached at ${live.url}: ${error instanceof Error ? error.message : String(error)}`); // prettier-ignore
  }
  pass(socket, remote);
  if (socket.readyState !== socket.OPEN) remote.terminate();
  return `analysis ${number} on ${found.machine} of the host ${found.host}`;
}

/** Sends on what comes from one to the other, which has it wait while it does not take it. */
function pass(from: WebSocket, to: WebSocket): void {
  from.on("message", (data: Buffer, isBinary: boolean) => {
    if (to.readyState !== to.OPEN) return;
    to.send(data, { binary: isBinary }, () => {
      if (from.isPaused && to.bufferedAmount < MOST_WAITING / 2) from.resume();
    });
    if (to.bufferedAmount > MOST_WAITING) from.pause();
  });
}
