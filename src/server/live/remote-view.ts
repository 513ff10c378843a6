import { once } from "node:events";
import { createWebSocketStream, WebSocket } from "ws";
import { ConflictError } from "../errors";
import type { ClusterView } from "../hosts/cluster-view";
import { endView, joinViewer } from "./live-views";
import { connectPinned } from "./pinned-connection";

/**
 * Joins a viewer with a machine of another host, which the cluster knows: that host reads what the viewer sends, and says why it ends.
 *
 * @param number the analysis, by its number in this lab
 * @param signal ends the opening
 * @throws ConflictError when no host has it now, or its host shows no machines
 */
export async function openRemoteView(
  cluster: ClusterView,
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
  let isOpen = false;
  remote.once("open", () => (isOpen = true));
  // Before that the reason is told below.
  remote.on("close", (code, reason) => (isOpen ? endView(socket, code >= 1000 && code < 1004 || code === 1008 ? code : 1011, String(reason) || "the host is gone") : undefined)); // prettier-ignore
  // Its first words may come with the answer to the handshake.
  const stream = createWebSocketStream(remote);
  stream.on("error", () => stream.destroy());
  try {
    await once(remote, "open", { signal });
  } catch (error) {
    stream.destroy();
    remote.terminate();
    throw new ConflictError(`the host ${found.host} cannot be reached at ${live.url}: ${error instanceof Error ? error.message : String(error)}`); // prettier-ignore
  }
  joinViewer(socket, stream, (bytes) => bytes);
  return `analysis ${number} on ${found.machine} of the host ${found.host}`;
}
