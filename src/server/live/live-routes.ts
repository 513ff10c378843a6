import type { FastifyRequest } from "fastify";
import type { WebSocket } from "ws";
import { z } from "zod";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { readRecord } from "../../lab/analysis/analysis-record";
import { type App, getDoer, ID_PARAMS } from "../api/app";
import { AccessError, ConflictError } from "../errors";
import { getAnalysis } from "../queue/submit";
import type { ServerParts } from "../server-parts";
import { openConsoleView } from "./console-view";
import { openRemoteView } from "./remote-view";
import { joinViewer, type LiveTarget } from "./live-views";
import { RfbFilter } from "./rfb-filter";

/** From the machine's answer to that of its screen, in milliseconds. */
const OPEN_LIMIT_MS = 10_000;

/** The parts of a machine that are looked at. */
const KINDS = ["screen", "console"] as const;
type Kind = (typeof KINDS)[number];

const QUERY = z.object({ control: z.enum(["yes", "no"]).default("no") });

/**
 * Adds the WebSockets on machines: their screens in the protocol RFB (RFC 6143), and their serial consoles as bytes. Who may read may look;
 * keys go to the machine by the right to submit.
 */
export function addLiveRoutes(app: App, parts: ServerParts): void {
  for (const kind of KINDS) {
    const config = { access: "read" as const };
    app.get(
      `/api/v1/analyses/:id/${kind}`,
      { websocket: true, config, schema: { params: ID_PARAMS, querystring: QUERY }, preValidation: checkControl },
      (socket, request) => viewAnalysis(parts, kind, socket, request),
    );
    const params = z.object({ name: z.string().max(100) });
    app.get(
      `/api/v1/machines/:name/${kind}`,
      { websocket: true, config, schema: { params, querystring: QUERY }, preValidation: checkControl },
      (socket, request) => {
        const { name } = request.params as { name: string };
        return view(parts, kind, socket, request, () => ({ machine: name, title: name, phase: undefined }));
      },
    );
  }
}

/** Refuses the keyboard to who may only look, before anything is connected. */
async function checkControl(request: FastifyRequest): Promise<void> {
  if (wantsControl(request) && request.caller?.rights.has("submit") !== true)
    throw new AccessError("you may look, but have not the right to submit, which typing needs", 403);
}

function wantsControl({ query }: FastifyRequest): boolean {
  return (query as { control?: unknown }).control === "yes";
}

/** Shows the machine of an analysis: one of this lab, or of a host of its cluster. */
function viewAnalysis(parts: ServerParts, kind: Kind, socket: WebSocket, request: FastifyRequest): Promise<void> {
  const { id } = request.params as { id: number };
  const { outcome } = parts.search.find(id) ?? {};
  const isElsewhere = parts.cluster !== undefined && outcome === undefined && findRecorded(parts.labFolder, id) === undefined; // prettier-ignore
  return view(parts, kind, socket, request, () => findAnalysisMachine(parts, id), isElsewhere ? id : undefined);
}

function view(
  { views, machines, accounts, cluster }: ServerParts,
  kind: Kind,
  socket: WebSocket,
  request: FastifyRequest,
  find: () => LiveTarget,
  /** Set when a host of the cluster has the machine. */
  analysis?: number,
): Promise<void> {
  const mayType = wantsControl(request);
  return views.serve(socket, request, mayType ? "submit" : "read", async (closing) => {
    const signal = AbortSignal.any([closing, AbortSignal.timeout(OPEN_LIMIT_MS)]);
    const { caller, address } = getDoer(request);
    if (cluster !== undefined && analysis !== undefined) {
      const title = await openRemoteView(cluster, analysis, { socket, kind, mayType, signal });
      if (mayType) accounts.audit.add(caller.user, address, `take over ${kind}`, title);
      return;
    }
    const target = find();
    await machines.use(target.machine, async (machine, machinery) => {
      if (kind === "console") return openConsoleView({ socket, machine, machinery, mayType, target, closing, signal });
      const filter = new RfbFilter(mayType);
      joinViewer(socket, await machinery.openScreen(machine, signal), (bytes) => filter.push(bytes), { answer: () => filter.repeatRequest() }); // prettier-ignore
    });
    if (mayType) accounts.audit.add(caller.user, address, `take over ${kind}`, target.title);
  });
}

/** Finds the machine of an analysis. @throws NotThereError; ConflictError when it has none now */
function findAnalysisMachine({ labFolder, search }: ServerParts, id: number): LiveTarget {
  const { outcome, phase } = getAnalysis(search, id);
  if (outcome !== undefined) throw new ConflictError(`analysis ${id} has ended`);
  const machine = findRecorded(labFolder, id);
  if (machine === undefined) throw new ConflictError(`analysis ${id} has no machine yet: ${phase}`);
  return { machine, title: `analysis ${id} on ${machine}`, phase };
}

function findRecorded(labFolder: string, id: number): string | undefined {
  try {
    return readRecord(getAnalysisFolder(labFolder, id)).machine?.name;
  } catch {
    return undefined;
  }
}
