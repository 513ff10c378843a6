/** Measures what investigation modules take on a guest that runs: investigations <QEMU's arguments> */

import { getGuest, type LinuxProcess } from "../../src/doors/rebox";
import { BytePattern, type SearchPattern, searchProcess, TextPattern } from "../../src/doors/trusted";
import { doors } from "../../src/doors/doors";
import { getProjectFolder } from "../../src/config/folders";
import { GuestContext } from "../../src/investigation/context";
import { InvestigationCatalog } from "../../src/investigation/catalog";
import { decodeResult } from "../../src/investigation/result";
import { getMedian } from "../sample-summary";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

export interface InvestigationsReport {
  /** For a query, in milliseconds by wall clock: median of all but the first, and the slowest, the first included. */
  readonly queries: Readonly<Record<string, { readonly median: number; readonly slowest: number }>>;
  /** Until the last of 20 at once is answered. */
  readonly twentyMs: number;
  /** For a search, in 10^9 bytes a second in which the guest stood still for it. */
  readonly search: Readonly<Record<string, number>>;
  /** By wall clock, with the guest's own time in between. */
  readonly wallSearch: number;
  /** For how long the guest stood still at a time, in milliseconds. */
  readonly longestPauseMs: number;
}

const ROUNDS = 15;
const QUESTIONS: Readonly<Record<string, object>> = {
  netstat: {
    ...{ localmac: ["."], neighbormac: ["."], localip: ["0.0.0.0/0", "::/0"], neighborip: ["0.0.0.0/0", "::/0"] },
    ...{ connectedip: ["0.0.0.0/0", "::/0"], listeningport: ["7001", "7002"], namespaces: true },
  },
  process: { kernelthreads: true },
  example: { gethostname: true, getaddresses: true },
};
const SEARCHES: Readonly<Record<string, SearchPattern>> = {
  bytes: new BytePattern(Buffer.from("this stands nowhere"), "bytes"),
  "expression, a word in it": new TextPattern("this-[a-z]+-stands"),
  "expression, mostly classes": new TextPattern("[a-z0-9.]+@[a-z0-9]+\\.example"),
};

async function ask(catalog: InvestigationCatalog, name: string): Promise<void> {
  const { module } = await catalog.get(name);
  const context = new GuestContext(
    new AbortController().signal,
    { log: () => undefined, alert: () => undefined },
    60_000,
  );
  const input = (async function* () {
    yield `${JSON.stringify({ class: "parameters", parameters: QUESTIONS[name] })}\n`;
  })();
  const result = decodeResult((await module.newRun?.(context).run(input)) ?? "");
  if (!result.foundanything || result.errors) throw new Error(`${name}: ${JSON.stringify(result)}`);
}

async function time(act: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await act();
  return performance.now() - startMs;
}

async function searchFor(process: LinuxProcess, pattern: SearchPattern) {
  const pauses: number[] = [];
  const atOneMoment = <Result>(look: () => Result): Result => {
    const startMs = performance.now();
    try {
      return look();
    } finally {
      pauses.push(performance.now() - startMs);
    }
  };
  const startMs = performance.now();
  const { searched, stoodStillMs } = await searchProcess(process, [pattern], { atOneMoment });
  const tookMs = performance.now() - startMs;
  return { speed: searched / stoodStillMs / 1e6, wall: searched / tookMs / 1e6, longestPauseMs: Math.max(...pauses) };
}

async function main(argv: readonly string[]): Promise<void> {
  const engine = createMachine(argv);
  engine.run();
  await waitToProceed();
  const catalog = new InvestigationCatalog([getProjectFolder()], () => doors);
  const queries: Record<string, { median: number; slowest: number }> = {};
  // Compiling a module's file is done once for each process that asks.
  for (const name of Object.keys(QUESTIONS)) await catalog.get(name);
  getGuest();
  for (const name of Object.keys(QUESTIONS)) {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) times.push(await time(() => ask(catalog, name)));
    queries[name] = { median: getMedian(times.slice(1)), slowest: Math.max(...times) };
  }
  const twentyMs = await time(() => Promise.all(Array.from({ length: 20 }, () => ask(catalog, "netstat"))));
  const keeper = getGuest()
    .getProcessList()
    .find(({ name }) => name === "keeper") as LinuxProcess;
  const search: Record<string, number> = {};
  let [wallSearch, longestPauseMs] = [0, 0];
  for (const [name, pattern] of Object.entries(SEARCHES)) {
    const rounds = [];
    for (let round = 0; round < ROUNDS / 3; round++) rounds.push(await searchFor(keeper, pattern));
    search[name] = getMedian(rounds.map(({ speed }) => speed));
    if (name !== "bytes") continue;
    wallSearch = getMedian(rounds.map(({ wall }) => wall));
    longestPauseMs = Math.max(...rounds.map((round) => round.longestPauseMs));
  }
  const report: InvestigationsReport = { queries, twentyMs, search, wallSearch, longestPauseMs };
  process.send?.(report);
}

void main(process.argv.slice(2));
