import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultKit, listKits } from "../kit/guests/guest-kits";
import { type HitNotice, type RoundsOptions, type RoundsRun, withRounds } from "../kit/terminal/rounds-run";
import { type ShellOptions, type ShellRun, withShell } from "../kit/terminal/shell-run";

type Row = Record<string, string>;
interface Listed {
  readonly number: number;
  readonly hits: number;
  readonly state: string;
  readonly type: string;
}

/** What "rounds" adds to the number of the round when it writes by the page's other address. */
const ALIAS_MARK = 0x10000n;
const PAE = listKits().find(({ architecture }) => architecture === "i386");
const KITS = [defaultKit(), ...(PAE ? [PAE] : [])];

function testRounds(name: string, options: RoundsOptions, use: (run: RoundsRun) => Promise<void>): void {
  void test(name, async () => {
    await withRounds(options, use);
  });
}

function testShell(name: string, options: ShellOptions, use: (run: ShellRun) => Promise<void>): void {
  void test(name, async () => {
    await withShell(options, use);
  });
}

async function hits(run: RoundsRun, count: number): Promise<HitNotice[]> {
  const seen: HitNotice[] = [];
  while (seen.length < count) seen.push(await run.hit());
  return seen;
}

const list = (run: RoundsRun) => run.data<Listed[]>("bl");

/** An expression that is true in every so-many-th round, at "call". */
function everyRound(run: RoundsRun, is64: boolean, turn: bigint): string {
  return is64
    ? `cpu.RSI % ${turn}n === 0n`
    : `readVa(pgd, cpu.RSP + 8n, 4).readUInt32LE() % ${turn} === 0 /* of ${run.at("call")} */`;
}

for (const kit of KITS) {
  const is64 = kit.architecture === "amd64";
  const on = `(${kit.release})`;

  testRounds(`an execution breakpoint pauses the guest there, once for each execution ${on}`, { kit }, async (run) => {
    await run.text(`bp ${run.at("call")}`);
    for (let round = 1n; round <= 4n; round++) {
      const { pc, size } = await run.hit();
      assert.deepEqual([pc, size], [run.at("call"), 0]);
      assert.equal((await run.monitor()).get("RIP"), BigInt(run.at("call")));
      assert.deepEqual(await run.callArguments(), [0n, round]);
      // The round before is over, this one's write is still to come.
      assert.equal(await run.word(run.at("word.0")), round === 1n ? 0n : round - 1n + ALIAS_MARK);
    }
    assert.deepEqual(
      (await list(run)).map((row) => [row.hits, row.state, row.type]),
      [[4, "enabled", "execution"]],
    );
  });

  testRounds(
    `memory breakpoints see every read and write of their range by its address, and no other ${on}`,
    { kit },
    async (run) => {
      const word = run.at("word.0");
      await run.text(`bpw ${word}:4`);
      await run.text(`bpr ${word}:4`);
      // Behind the word and in front of it: nobody is there.
      for (const beside of [`${word}+4:4`, `${word}-4:4`])
        for (const name of ["bpw", "bpr"]) await run.text(`${name} ${beside}`);
      const [write, read] = await list(run);
      for (let round = 1n; round <= 3n; round++) {
        const written = await run.hit();
        assert.deepEqual(
          [written.breakpoint, written.address, written.size, written.value],
          [write!.number, word, 4, `0x${round.toString(16)}`],
        );
        assert.equal(await run.word(word), round);
        const seen = await run.hit();
        assert.deepEqual([seen.breakpoint, seen.address, seen.size, seen.value], [read!.number, word, 4, undefined]);
      }
      assert.deepEqual(
        (await list(run)).map((row) => row.hits),
        [3, 3, 0, 0, 0, 0],
      );
      await run.text("bc *");
      // An access that begins below the range and reaches into it is one of the range.
      await run.text(`bpw ${word}+2:1`);
      const { address, size } = await run.hit();
      assert.deepEqual([address, size], [word, 4]);
    },
  );

  testRounds(`physical breakpoints see a page by whatever address it is used ${on}`, { kit }, async (run) => {
    const place = run.at("physical.0");
    await run.text(`bpwh ${place}:4`);
    const seen = await hits(run, 6);
    assert.deepEqual(
      seen.map(({ address, value }) => [address, BigInt(value!)]),
      [1n, 1n + ALIAS_MARK, 2n, 2n + ALIAS_MARK, 3n, 3n + ALIAS_MARK].map((value) => [place, value]),
    );
    const shown = await run.text(`hmp xp /1wx ${place}`);
    assert.equal(BigInt(/: (0x\w+)/.exec(shown)![1]!), 3n + ALIAS_MARK);
    await run.text("bc *");
    await run.text(`bprh ${place}:4`);
    for (let round = 4n; round <= 6n; round++) {
      assert.equal((await run.hit()).address, place);
      assert.equal(await run.word(run.at("word.0")), round);
    }
    assert.deepEqual(
      (await list(run)).map((row) => row.hits),
      [3],
    );
  });

  testRounds(`conditions, one-shot, disabling, enabling and deleting do what they say ${on}`, { kit }, async (run) => {
    const call = run.at("call");
    const rounds = async (count: number) => {
      const seen: bigint[] = [];
      while (seen.length < count) {
        await run.hit();
        seen.push((await run.callArguments())[1]);
      }
      return seen;
    };
    await run.text(`bp ${call} if ${everyRound(run, is64, 5n)}`);
    assert.deepEqual(await rounds(3), [5n, 10n, 15n]);
    const [first] = await list(run);
    // Only where the condition is true it is a hit.
    assert.equal(first!.hits, 3);
    await run.text(`bd ${first!.number}`);
    await run.text(`bp ${call} once if ${everyRound(run, is64, 23n)}`);
    assert.deepEqual(await rounds(1), [23n]);
    assert.deepEqual(
      (await list(run)).map(({ number, hits, state }) => [number, hits, state]),
      [[first!.number, 3, "disabled"]],
    );
    await run.text(`be ${first!.number}`);
    assert.deepEqual(await rounds(1), [25n]);
    assert.equal((await list(run))[0]!.hits, 4);
    await run.text(`bc ${first!.number}`);
    assert.deepEqual(await list(run), []);
    assert.match(await run.error(`be ${first!.number}`), /there is no breakpoint/);
    // The guest stands at that instruction and has not begun it: that is still to come.
    await run.text(`bp ${call} once`);
    assert.deepEqual(await rounds(1), [25n]);
    assert.deepEqual(await list(run), []);
    await run.text(`bp ${call}`);
    assert.deepEqual(await rounds(2), [25n, 26n]);
    assert.match(await run.error(`bp ${call} if cpu.`), /condition cannot be read/);
  });

  testRounds(`a breakpoint of one process is not hit by the same address of another ${on}`, { kit }, async (run) => {
    const call = run.at("call");
    await run.text("proc 1");
    await run.text(`bp ${call}`);
    await run.text(`bpw ${run.at("word.0")}:4`);
    const { data } = (await run.client.run(`ps rounds`)) as unknown as { data: { pid: number }[] };
    await run.text(`proc ${data[0]!.pid}`);
    await run.text(`bp ${call}`);
    await hits(run, 3);
    assert.deepEqual(
      (await list(run)).map((row) => row.hits),
      [0, 0, 3],
    );
  });

  testShell(
    `a breakpoint that waits for a kernel module is hit in it ${on}`,
    { task: "modules", parameters: { now: 1, times: 1 }, kit },
    async (run) => {
      const notices: Row[] = [];
      run.client.onNotice = ({ data }) => notices.push(data as unknown as Row);
      const paused = async () => {
        while ((await run.data<{ state: string }>("status")).state !== "paused");
      };
      while ((await run.error("ps 1")) !== "");
      await run.text("bp dummy!dummy_setup once");
      assert.equal((await run.data<Row[]>("bl"))[0]?.state, "pending");
      await run.text("bp kernel!kernel_power_off once");
      await paused();
      assert.match(notices[0]?.symbol ?? "", /^dummy!dummy_setup$/);
      const registers = await run.text("hmp info registers");
      const pc = BigInt(`0x${/\b[ER]IP=([0-9a-f]+)/.exec(registers)![1]}`);
      assert.equal(notices[0]?.pc, `0x${pc.toString(16)}`);
      if (is64) {
        // Through the module's functions to the system call, and in front of each return address there is a call.
        const frames = await run.data<Row[]>("bt");
        const names = frames.map(({ symbol }) => (symbol ?? "").replace(/\+0x[0-9a-f]+$/, ""));
        const inKernel = frames.findIndex(({ symbol }) => symbol?.startsWith("kernel!entry_SYSCALL_64_after_hwframe"));
        assert.ok(names.includes("kernel!do_one_initcall") && inKernel > 5, names.join(" "));
        assert.ok(names.filter((name) => name.startsWith("dummy!")).length >= 2, names.join(" "));
        for (const { address, method } of frames.slice(1, inKernel)) {
          assert.equal(method, "orc", names.join(" "));
          const lengths = [2, 3, 5, 6, 7].map((length) => `0x${(BigInt(address!) - BigInt(length)).toString(16)}`);
          const before = await Promise.all(lengths.map((at) => run.data<Row[]>(`u ${at}:1`)));
          const isCall = before.some(
            ([code], index) => /^call/.test(code!.instruction!) && code!.bytes!.length / 2 === [2, 3, 5, 6, 7][index],
          );
          assert.ok(isCall, `${address} in ${names.join(" ")}`);
        }
      }
      await run.text("cont");
      const truth = await run.truth("modules.done");
      assert.ok(Number(truth.get("modules.acts")) > 0);
    },
  );

  testShell(
    `a breakpoint that waits for a library of a process is hit when that is loaded ${on}`,
    { task: "libraries", parameters: { times: 3 }, kit },
    async (run) => {
      const facts = await run.truth("greeter.waits");
      const notices: Row[] = [];
      run.client.onNotice = ({ data }) => notices.push(data as unknown as Row);
      const untilPaused = async () => {
        while ((await run.data<{ state: string }>("status")).state !== "paused");
      };
      await run.text("pause");
      await run.text(`proc ${facts.get("greeter.waits")}`);
      await run.text("bp libguest.so.1!guest_answer");
      assert.equal((await run.data<Row[]>("bl"))[0]?.state, "pending");
      await run.text(`ed ${facts.get("greeter.go")}=1`);
      await run.text("cont");
      await untilPaused();
      assert.equal(notices[0]?.symbol, "libguest.so.1!guest_answer");
      const registers = await run.text("hmp info registers");
      assert.equal(BigInt(notices[0]!.pc!), BigInt(`0x${/\b[ER]IP=([0-9a-f]+)/.exec(registers)![1]}`));
      // It returns 42.
      const code = await run.data<Row[]>(`u ${notices[0]!.pc}:4`);
      await run.text(`until ${code.find(({ instruction }) => /^ret/.test(instruction!))!.address}`);
      const { RAX } = await run.data<Row>("r rax");
      assert.equal(BigInt(RAX!) & 0xffffffffn, 42n);
    },
  );
}

testRounds("on several vCPUs a hit is told of the vCPU that had it, and none is lost", { threads: 2 }, async (run) => {
  await run.text(`bp ${run.at("call")}`);
  const seen: [bigint[], bigint[]] = [[], []];
  while (seen.some((rounds) => rounds.length < 4)) {
    const { cpu, pc } = await run.hit();
    const registers = await run.monitor(cpu);
    assert.equal(registers.get("RIP"), BigInt(pc));
    // Each thread is bound to the vCPU of its number.
    assert.equal(registers.get("RDI"), BigInt(cpu));
    seen[cpu as 0 | 1].push(registers.get("RSI")!);
    // The shell looks at that vCPU now.
    assert.equal((await run.data<Row>("r rdi")).RDI, `0x${cpu}`);
  }
  for (const rounds of seen)
    assert.deepEqual(
      rounds,
      rounds.map((_, index) => BigInt(index + 1)),
    );
  await run.text("bc *");
  await run.text(`bpw ${run.at("word.1")}:4`);
  // Whether the write of the last round that was seen is over depends on which thread was last.
  const first = BigInt((await run.hit()).value!);
  assert.ok([0n, 1n].includes(first - BigInt(seen[1].length)), `${first} after ${seen[1].length}`);
  const { cpu, value } = await run.hit();
  assert.deepEqual([cpu, BigInt(value!)], [1, first + 1n]);
});

test("a script's breakpoints count what the program did, of every type", async () => {
  const ROUNDS = 200;
  const script = () => `
    import { getProcessList } from "rebox";
    import { BP } from "rebox/trusted";
    const set: Record<string, BP> = {};
    let log: (text: string) => void;
    export function initialize_callbacks(_: number, print: (text: string) => void): void {
      log = print;
    }
    /** Sets them: PID CALL WORD PHYSICAL. */
    export function do_set(line: string): string {
      const [pid, call, word, physical] = line.split(" ");
      const { pgd } = getProcessList().find((one) => one.pid === Number(pid))!;
      set.execution = new BP(BigInt(call!), pgd);
      set.write = new BP(BigInt(word!), pgd, { type: BP.MEM_WRITE, size: 4 });
      set.read = new BP(BigInt(word!), pgd, { type: BP.MEM_READ, size: 4 });
      set.physicalWrite = new BP(BigInt(physical!), undefined, { type: BP.MEM_WRITE_PHYS, size: 4 });
      set.physicalRead = new BP(BigInt(physical!), undefined, { type: BP.MEM_READ_PHYS, size: 4 });
      let sum = 0n;
      set.sum = new BP(BigInt(word!), pgd, {
        type: BP.MEM_WRITE, size: 4,
        condition: ({ value }) => value! % 2n === 0n,
        func: ({ value, breakpoint }) => {
          sum += value!;
          if (breakpoint.hits === 100) log("sum " + sum);
        },
      });
      return "set";
    }
    export const clean = (): void => {
      log(Object.entries(set).map(([name, { hits }]) => name + "=" + hits).join(" "));
    };
  `;
  const end = await withRounds({ rounds: ROUNDS, script }, async (run) => {
    const places = ["call", "word.0", "physical.0"].map(run.at).join(" ");
    await run.text(`custom set ${Number(run.at("waits"))} ${places}`);
    await run.text("cont");
    assert.equal((await run.truth("rounds.done")).get("rounds.done"), String(ROUNDS));
  });
  const sum = (ROUNDS / 2) * (ROUNDS / 2 + 1);
  assert.match(end.stdout, new RegExp(`sum ${sum}`));
  assert.match(
    end.stdout,
    new RegExp(
      `execution=${ROUNDS} write=${ROUNDS} read=${ROUNDS} physicalWrite=${2 * ROUNDS} physicalRead=${ROUNDS} sum=100`,
    ),
  );
});
