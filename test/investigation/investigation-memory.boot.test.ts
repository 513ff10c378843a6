import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { GuestContext } from "../../src/investigation/context";
import { decodeResult, type InvestigationResult } from "../../src/investigation/result";
import { KernelDataError } from "../../src/systems/errors";
import { loadModule } from "../kit/investigations/investigation-modules";
import { PROJECT } from "../kit/project";

const MODULES = join(PROJECT, "modules/investigation");

/** A process whose memory is as a test says. */
interface FakeProcess {
  readonly pid: number;
  readonly hit?: bigint;
  readonly unreadable?: { start: bigint; end: bigint }[];
  /** It ends after so many slices of the search. */
  readonly endsAfter?: number;
  readonly error?: Error;
}

function createProcess({ pid, hit, unreadable = [], endsAfter = Infinity, error }: FakeProcess): object {
  let slices = 0;
  const search = {
    ...{ hits: [hit], searched: 4096, unreadable, isSlow: false },
    unreadableSize: 0,
    step: () => ++slices > Math.min(endsAfter, 3),
  };
  return {
    ...{ pid, name: `name ${pid}`, pgd: BigInt(pid), executable: `/bin/${pid}`, memoryMap: [] },
    createSearch: () => {
      if (error) throw error;
      return search;
    },
    get isAlive() {
      return slices < endsAfter;
    },
  };
}

async function ask(
  processes: readonly FakeProcess[],
  options: object,
  signal = new AbortController().signal,
): Promise<InvestigationResult> {
  const module = await loadModule(MODULES, "memory");
  const context = new GuestContext(signal, { log: () => undefined, alert: () => undefined }, 60_000);
  const guest = { getProcessList: () => processes.map(createProcess) };
  const run = module.newRun!(Object.assign(context, { getGuest: () => guest }) as never);
  const input = (async function* () {
    yield `${JSON.stringify({ class: "parameters", parameters: { searches: { s1: { bytes: ["abcd"], options } } } })}\n`;
  })();
  return decodeResult(await run.run(input));
}

test("memory that cannot be read is told when that is asked for, and only then", async () => {
  const processes = [{ pid: 7, unreadable: [{ start: 0x1000n, end: 0x3000n }] }];
  const silent = await ask(processes, {});
  assert.equal((silent.statistics as { failures?: string[] }).failures, undefined);
  assert.equal(silent.errors, null);
  const { statistics } = await ask(processes, { logfailures: true });
  assert.deepEqual((statistics as { failures?: string[] }).failures, [
    "process 7 (name 7): 0x1000 to 0x3000 is not in memory",
  ]);
});

test("a process that ends while it is searched, or is damaged, does not end the search of the others", async () => {
  const damaged = new KernelDataError("a maple tree", 0x1234n, "the tree loops");
  const processes = [
    { pid: 1, endsAfter: 1 },
    { pid: 2, error: damaged },
    { pid: 3, hit: 0x5000n },
  ];
  const { success, foundanything, elements, statistics } = await ask(processes, { logfailures: true });
  assert.deepEqual([success, foundanything], [true, true]);
  const found = (elements as { s1: { process: object; addresses: object }[] }).s1;
  assert.deepEqual(
    found.map(({ process, addresses }) => [process, addresses]),
    [[{ name: "/bin/3", pid: 3 }, { abcd: "0x5000" }]],
  );
  assert.deepEqual((statistics as { failures: string[]; processcount: number }).failures, [
    "process 1 (name 1): it ended while its memory was searched",
    "process 2 (name 2): a maple tree at 0x1234: the tree loops",
  ]);
  assert.equal((statistics as { processcount: number }).processcount, 3);
});

test("what is found nowhere has an entry without a process", async () => {
  const { foundanything, elements } = await ask([{ pid: 1 }], {});
  assert.equal(foundanything, false);
  assert.deepEqual(
    (elements as { s1: { process: object }[] }).s1.map(({ process }) => process),
    [{ name: "", pid: 0 }],
  );
});

test("a run that is ended while memory is searched ends at once, with the reason", async () => {
  const end = new AbortController();
  const asked = ask([{ pid: 1, endsAfter: 1e9 }], {}, end.signal);
  end.abort(new Error("nobody wants to know"));
  const { success, errors } = await asked;
  assert.deepEqual([success, errors], [false, ["nobody wants to know"]]);
});
