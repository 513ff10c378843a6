import { z } from "zod";
import type { ReportedProcess } from "../../lab/analysis/report/gather-events";
import type { CalledProcess } from "../../lab/analysis/report/module-results";
import { getAnalysis } from "../queue/submit";
import { getProcess, listProcesses } from "../results/find-process";
import type { ProcessDetails } from "../results/process-details";
import type { ServerParts } from "../server-parts";
import { type App, ERRORS, ID, ID_PARAMS } from "./app";

const PROCESS = z
  .object({
    id: z.number().describe("Its place in the order of beginnings: pids come again."),
    ...{ pid: z.number(), ppid: z.number().nullable(), name: z.string(), commandLine: z.string().nullable() },
    ...{ began: z.string(), ended: z.string().nullable(), origin: z.string() },
    parent: z.number().nullable().describe("The `id` of its parent, when that began in the analysis too."),
  })
  .describe("A process of the target, or of all where it was not seen which are the target's.");
const CALLS = z.array(z.object({ name: z.string(), count: z.number() }));
const ADDRESS = z.string().describe("0x and hexadecimal digits.");
const FRAME = z.object({
  address: ADDRESS,
  module: z.string().nullable().describe("The program or library; null outside of all."),
  offset: z.number().nullable().describe("Behind the module's beginning in memory, in bytes."),
  symbol: z.string().nullable().describe("At or before the address."),
  within: z.number().nullable().describe("How far behind the symbol, in bytes."),
});
const STACK = z.object({
  ...{ time: z.string(), type: z.string().describe('The act; "process.ended" for the end of the process.') },
  facts: z.record(z.string(), z.unknown()),
  frames: z.array(FRAME).describe("The functions that led to it, the innermost first."),
});
const MEMORY = z.object({
  file: z.string().describe("The core, among the files of the analysis."),
  signal: z.number().describe("That ended it; 0 for none."),
  threads: z.array(z.object({ tid: z.number(), registers: z.record(z.string(), ADDRESS) })),
  mappings: z.array(
    z.object({
      ...{ start: ADDRESS, end: ADDRESS, permissions: z.string(), path: z.string() },
      size: z.number().describe("Bytes that the core has of it."),
    }),
  ),
});
const DETAILS = PROCESS.extend({
  systemCalls: CALLS.describe("The calls of the kernel with their numbers, the most frequent first."),
  libraryCalls: CALLS,
  stacks: z.array(STACK).describe("What has led to its acts, each way once."),
  memory: z.array(MEMORY).describe("Its memory at its end, where it was kept."),
});

/** Adds the routes on the processes of an analysis. */
export function addProcessRoutes(app: App, parts: ServerParts): void {
  app.get(
    "/api/v1/analyses/:id/processes",
    {
      config: { access: "read" },
      schema: {
        ...{ operationId: "processes", summary: "List the processes of an analysis", tags: ["results"] },
        ...{ params: ID_PARAMS, response: { ...ERRORS, 200: z.object({ processes: z.array(PROCESS) }) } },
      },
    },
    async ({ params: { id } }) => {
      getAnalysis(parts.search, id);
      return { processes: ((await listProcesses(parts, id))?.processes ?? []).map(toProcess) };
    },
  );
  app.get(
    "/api/v1/analyses/:id/processes/:process",
    {
      config: { access: "read" },
      schema: {
        ...{ operationId: "process", summary: "Look at a process: calls, call stacks, memory", tags: ["results"] },
        params: ID_PARAMS.extend({ process: ID.describe("The `id` of the process.") }),
        response: { ...ERRORS, 200: DETAILS },
      },
    },
    async ({ params: { id, process: number } }) => {
      getAnalysis(parts.search, id);
      const { process, details } = await getProcess(parts, id, number);
      return { ...toProcess(process), ...toDetails(details) };
    },
  );
}

function toProcess(process: ReportedProcess): z.infer<typeof PROCESS> {
  const { id, pid, ppid = null, name, commandLine = null, began, ended = null, origin, parent = null } = process;
  return { id, pid, ppid, name, commandLine, began, ended, origin, parent };
}

function toDetails({ systemCalls, libraryCalls, stacks, memory }: ProcessDetails) {
  return {
    ...{ systemCalls: toCalls(systemCalls), libraryCalls: toCalls(libraryCalls) },
    stacks: stacks.map(({ time, type, facts, frames }) => ({
      ...{ time, type, facts },
      frames: frames.map(({ address, module = null, offset = null, symbol = null, within = null }) => ({ address, module, offset, symbol, within })), // prettier-ignore
    })),
    memory: memory.map(({ file, signal, threads, mappings }) => ({
      ...{ file, signal },
      threads: threads.map(({ tid, registers }) => ({ tid, registers: Object.fromEntries(Object.entries(registers).map(([name, value]) => [name, toText(value)])) })), // prettier-ignore
      mappings: mappings.map(({ start, end, permissions, path, size }) => ({ start: toText(start), end: toText(end), permissions, path, size })), // prettier-ignore
    })),
  };
}

function toCalls(called: CalledProcess | undefined): z.infer<typeof CALLS> {
  return (called?.calls ?? []).map(([name, count]) => ({ name, count }));
}

function toText(value: bigint): string {
  return `0x${value.toString(16)}`;
}
