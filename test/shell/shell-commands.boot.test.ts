import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseReport } from "../kit/guests/guest-report";
import { networkFolders, readMaps, readOpenFiles, readProcess, readSockets } from "../kit/systems/linux-truth";
import { parseMonitorRegisters, type RoundsOptions, type RoundsRun, withRounds } from "../kit/terminal/rounds-run";
import { withShell } from "../kit/terminal/shell-run";
import { PROJECT } from "../kit/project";

type Row = Record<string, string>;
const QEMU_IMG = join(PROJECT, "build/qemu/qemu-img");
/** What "info registers" shows of a segment's flags: the second word of its descriptor, without the base. */
const SHOWN_FLAGS = 0xffff00n;
const hex = (value: bigint) => `0x${value.toString(16)}`;

function testRounds(name: string, options: RoundsOptions, use: (run: RoundsRun) => Promise<void>): void {
  void test(name, async () => {
    await withRounds(options, use);
  });
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-commands-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What QEMU's monitor shows behind "name=", as a number. */
function shownBy(monitor: string, name: string): bigint {
  const [, value] = new RegExp(`\\b${name} ?= ?(?:0x)?([0-9a-f]+)`).exec(monitor) ?? assert.fail(`${name}: ${monitor}`);
  return BigInt(`0x${value}`);
}

test("processes, threads, mappings, files, sockets and modules are what the guest's /proc says", () =>
  inFolder(async (folder) => {
    const file = join(folder, "report");
    const qemuArgs = ["-debugcon", `file:${file}`];
    await withShell({ task: "zoo", parameters: { kallsyms: 0 }, qemuArgs }, async (run) => {
      const truth = await run.truth("zoo.reported");
      await run.text("pause");
      const report = parseReport(readFileSync(file));
      const isStill = ({ name }: { name: string }) => !name.startsWith("kworker/");
      const shown = await run.data<{ pid: number; ppid: number; name: string; kind: string; pgd: string }[]>("ps");
      const pids = report.list("/proc").map(Number).filter(Number.isInteger);
      const told = pids.map((pid) => readProcess(report, pid));
      assert.deepEqual(
        shown.filter(isStill).map(({ pid, ppid, name }) => `${pid} ${ppid} ${name}`),
        told.filter(isStill).map(({ pid, ppid, name }) => `${pid} ${ppid} ${name}`),
      );
      const threaded = told.find(({ threads }) => threads.length > 2)!;
      const [one] = await run.data<Row[]>(`ps ${threaded.pid}`);
      assert.equal(one?.name, threaded.name);
      // By name and by address space it is the same.
      assert.deepEqual((await run.data<Row[]>(`ps ${one?.pgd}`))[0], one);
      assert.ok((await run.data<Row[]>(`ps ${threaded.name.slice(0, 2)}*`)).some(({ task }) => task === one?.task));
      assert.match(await run.error("ps"), /^$/);
      assert.match(await run.error("vmmap 4000000"), /no process 4000000/);

      await run.text(`proc ${threaded.pid}`);
      assert.match(await run.text("proc"), new RegExp(`process ${threaded.pid} `));
      const threads = await run.data<{ tid: number; name: string }[]>("threads");
      assert.deepEqual(threads.map(({ tid, name }) => `${tid} ${name}`).sort(), threaded.threads);
      const maps = await run.data<Row[]>("vmmap");
      assert.deepEqual(
        maps.map(
          ({ start, end, permissions, offset, path }) =>
            `${start!.slice(2)}-${end!.slice(2)} ${permissions} ${BigInt(offset!)} ${path}`,
        ),
        readMaps(report, threaded.pid),
      );
      const hasSocket = (fd: string, pid: number) => report.text(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
      const owner = told.find(({ pid }) => report.list(`/proc/${pid}/fd`).some((fd) => hasSocket(fd, pid)))!;
      await run.text("proc -");
      const files = await run.data<{ fd: number; path: string; position: string; flags: string }[]>(
        `files ${owner.pid}`,
      );
      assert.deepEqual(
        files.map(
          ({ fd, path, position, flags }) =>
            `${fd} ${path} ${position} ${(parseInt(flags, 8) & ~0o2000000).toString(8)}`,
        ),
        readOpenFiles(report, owner.pid),
      );
      const sockets = await run.data<{ fd: number; inode: string }[]>(`sockets ${owner.pid}`);
      assert.deepEqual(
        sockets.map(({ fd, inode }) => `${fd} socket:[${inode}]`),
        files.filter(({ path }) => path.startsWith("socket:")).map(({ fd, path }) => `${fd} ${path}`),
      );
      assert.notEqual(sockets.length, 0);

      const named = (family: string) => ["inet", "inet6", "unix"].includes(family);
      const all = await run.data<Row[]>("ss");
      assert.deepEqual(
        all
          .filter(({ family }) => named(family!))
          .map(({ inode, family, type }) => `${inode} ${family} ${type}`)
          .sort(),
        [...networkFolders(report).values()]
          .flatMap((path) => readSockets(report, path))
          .map((line) => line.split(" ").slice(0, 3))
          .filter(([, family]) => named(family!))
          .map((words) => words.join(" "))
          .sort(),
      );
      const networked = truth.get("zoo.networked")!;
      assert.deepEqual(
        new Set(
          all.filter(({ local, state }) => local === "127.0.0.1:7001" && state === "LISTEN").map((row) => row.process),
        ),
        new Set([`networked (${networked})`, `elsewhere (${truth.get("zoo.elsewhere")})`]),
      );
      assert.equal(
        all.filter(({ inode }) => inode === "0").every((row) => row.process === ""),
        true,
      );

      const modules = await run.data<Row[]>("lm kernel");
      assert.deepEqual(
        modules.slice(1).map(({ name, size, base }) => `${name} ${Number(size)} ${base}`),
        report
          .lines("/proc/modules")
          .map((line) => line.split(" "))
          .map(([name, size, , , , base]) => `${name} ${size} ${hex(BigInt(base!))}`),
      );
      const greeter = truth.get("greeter.pid")!;
      const libraries = await run.data<Row[]>(`lm ${greeter}`);
      assert.equal(libraries.find(({ name }) => name === "libguest.so.1")?.base, truth.get("greeter.libguest"));
      await run.text(`proc ${greeter}`);
      assert.equal(
        (await run.data<Row[]>("x libguest.so.1!guest_answer"))[0]?.address,
        truth.get("greeter.guest_answer"),
      );
      const [nearest] = await run.data<Row[]>(`ln ${truth.get("greeter.guest_answer")}+2`);
      assert.deepEqual([nearest?.symbol, nearest?.distance], ["guest_answer", "0x2"]);

      // The members that the kernel itself prints.
      const task = shown.find(({ pid }) => pid === Number(greeter)) as unknown as Row;
      assert.deepEqual(
        [
          (await run.data<Row[]>(`dt task_struct ${task.task} tgid`))[0]?.value,
          (await run.data<Row[]>(`dt task_struct ${task.task} comm`))[0]?.value,
        ],
        [Number(greeter), '"greeter"'],
      );
      assert.match(await run.error("dt no_such_struct"), /has no struct no_such_struct/);

      // Who sleeps in the kernel stands where the kernel's own unwinder says, unless it has run since.
      const readMember = async (task: string, member: string) =>
        Number((await run.data<Row[]>(`dt task_struct ${task} ${member}`))[0]?.value);
      const hasRun = async (pid: number) => {
        const { task } = shown.find((process) => process.pid === pid) as unknown as { task: string };
        // The report has the counts before the stack.
        const status = report.text(`/proc/${pid}/status`);
        const counts = [/^voluntary_ctxt_switches:\t(\d+)$/m, /^nonvoluntary_ctxt_switches:\t(\d+)$/m];
        const then = counts.map((count) => Number(count.exec(status)?.[1]));
        const now = [await readMember(task, "nvcsw"), await readMember(task, "nivcsw")];
        return then.join() !== now.join() || (await readMember(task, "on_cpu")) !== 0;
      };
      let compared = 0;
      for (const { pid } of told.filter(isStill)) {
        const expected = (report.find(`/proc/${pid}/stack`) ?? "").split("\n").flatMap((line) => {
          const [, symbol] = /^\[<0>\] ([^/ ]+)\/0x[0-9a-f]+(?: \[.*\])?$/.exec(line) ?? [];
          return symbol === undefined ? [] : [symbol];
        });
        if (expected.length < 2 || pid === Number(truth.get("zoo.reported")) || (await hasRun(pid))) continue;
        const frames = (await run.data<Row[]>(`bt ${pid}`)).filter(
          ({ method }) => method === "orc" || method === "saved",
        );
        const names = frames.map(({ symbol }) => (symbol ?? "").replace(/^[^!]*!/, ""));
        const kernel = names.slice(0, names.findLastIndex((name) => expected.at(-1) === name) + 1);
        // The kernel leaves the scheduler's own functions out.
        assert.deepEqual(kernel.slice(-expected.length), expected, `process ${pid}: ${names.join(" ")}`);
        compared++;
      }
      assert.ok(compared > 20, `${compared} stacks`);
    });
  }));

testRounds("every register is what QEMU's monitor says, of each vCPU, and is written", { threads: 2 }, async (run) => {
  await run.text(`bp ${run.at("call")}`);
  await run.hit();
  const all = (await run.text("hmp info registers -a")).split(/^CPU#\d+$/m);
  for (const index of [0, 1]) {
    const monitor = all[index + 1]!;
    const shown = await run.data<Row>(`print_cpu ${index}`);
    const compared = [...parseMonitorRegisters(monitor)].filter(([name]) => name in shown);
    for (const [name, value] of compared) assert.equal(shown[name], hex(value), `vCPU ${index} ${name}`);
    assert.ok(compared.length >= 24, compared.join());
    for (const name of ["ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR"]) {
      const [, selector, base, limit, flags] = new RegExp(
        `^${name} *=([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)`,
        "m",
      ).exec(monitor)!;
      assert.deepEqual(
        [
          shown[name],
          shown[`${name}_BASE`],
          shown[`${name}_LIMIT`],
          hex(BigInt(shown[`${name}_FLAGS`]!) & SHOWN_FLAGS),
        ],
        [selector, base, limit, flags].map((text) => hex(BigInt(`0x${text}`))),
        name,
      );
    }
    for (const name of ["GDT", "IDT"]) {
      const [, base, limit] = new RegExp(`^${name}= *([0-9a-f]+) ([0-9a-f]+)`, "m").exec(monitor)!;
      assert.deepEqual(
        [shown[`${name}_BASE`], shown[`${name}_LIMIT`]],
        [base, limit].map((text) => hex(BigInt(`0x${text}`))),
      );
    }
    for (const name of ["EFER", "MXCSR"]) assert.equal(shown[name], hex(shownBy(monitor, name)), name);
    for (let number = 0; number < 16; number++) {
      const [, value] = new RegExp(`XMM0?${number}=([0-9a-f ]{32,35})`).exec(monitor)!;
      assert.equal(shown[`XMM${number}`], hex(BigInt(`0x${value!.replace(/ /g, "")}`)), `XMM${number}`);
    }
  }
  // The MSRs that the kernel sets: where it is entered.
  const [entry] = await run.data<Row[]>("x kernel!entry_SYSCALL_64");
  assert.equal((await run.data<Row>("r lstar")).LSTAR, entry?.address);
  for (const group of ["segments", "control", "debug", "msr", "sse", "general", "all"]) {
    const values = await run.data<Row>(`r ${group}`);
    const whole = await run.data<Row>("print_cpu");
    for (const [name, value] of Object.entries(values)) assert.equal(value, whole[name], `${group} ${name}`);
  }
  await run.text("setcpu 1");
  await run.text("r r15=1122334455667788");
  assert.equal(
    parseMonitorRegisters((await run.text("hmp info registers -a")).split(/^CPU#1$/m)[1]!).get("R15"),
    0x1122334455667788n,
  );
  assert.equal((await run.data<Row>("r r15")).R15, "0x1122334455667788");
  assert.match(await run.error("setcpu 2"), /there is no vCPU 2: the machine has 2/);
  assert.match(await run.error("r nosuch"), /there is no register NOSUCH/);
  assert.match(await run.error("r xmm0=1"), /cannot be written/);
  await run.text("setcpu 0");
});

testRounds("memory is shown, written and searched in every width as QEMU's monitor sees it", {}, async (run) => {
  // Here the vCPU runs in the process, so that the monitor sees its memory.
  await run.text(`bp ${run.at("call")}`);
  await run.hit();
  const word = run.at("word.0");
  const page = hex(BigInt(word) & ~0xfffn);
  const physical = hex(BigInt(run.at("physical.0")) & ~0xfffn);
  const seen = async (format: string, place: string) =>
    [...(await run.text(`hmp ${format} ${place}`)).matchAll(/ (0x[0-9a-f]+)/g)].map(([, value]) => hex(BigInt(value!)));
  await run.text(`eb ${page}=11 22 33 44 55 66 77 88`);
  await run.text(`ew ${page}+8=1234 5678`);
  await run.text(`ed ${page}+c=9abcdef0`);
  await run.text(`eq ${page}+10=1122334455667788 99aabbccddeeff00`);
  await run.text(`write p${physical}+20="A text of some length"`);
  for (const [name, format, count] of [
    ["db", "xp /16bx", "10"],
    ["dw", "xp /8hx", "8"],
    ["dd", "xp /4wx", "4"],
    ["dq", "xp /4gx", "4"],
  ]) {
    const expected = await seen(format!, physical);
    assert.deepEqual((await run.data<{ values: string[] }>(`${name} ${page}:${count}`)).values, expected, name);
    assert.deepEqual((await run.data<{ values: string[] }>(`${name} p${physical}:${count}`)).values, expected, name);
  }
  // Words of an address' size, which is 64 bits here.
  assert.deepEqual((await run.data<{ values: string[] }>(`dp ${page}:4`)).values, await seen("xp /4gx", physical));
  assert.deepEqual((await run.data<{ values: string[] }>(`db ${page}:8`)).values.at(-1), "0x88");
  assert.equal((await run.data<{ values: string[] }>(`dw ${page}+8:2`)).values.join(), "0x1234,0x5678");
  assert.equal((await run.data<{ values: string[] }>(`dd ${page}+c:1`)).values.join(), "0x9abcdef0");
  assert.equal(
    (await run.data<{ values: string[] }>(`dq ${page}+10:2`)).values.join(),
    "0x1122334455667788,0x99aabbccddeeff00",
  );
  assert.deepEqual((await run.data<{ values: string[] }>(`dump ${page}:30`)).values, await seen("xp /48bx", physical));
  assert.deepEqual(
    (await run.data<Row[]>(`strings ${page}:1000`)).find(({ text }) => text === "A text of some length")?.address,
    hex(BigInt(page) + 0x20n),
  );
  assert.deepEqual(
    (await run.data<Row[]>(`s ${page}:1000:"of some"`)).map(({ address }) => address),
    [hex(BigInt(page) + 0x27n)],
  );
  assert.deepEqual(
    (await run.data<Row[]>(`s p${physical}:1000:1122334455`)).map(({ address }) => address),
    [physical],
  );
  assert.match(await run.error(`eb ${page}=100`), /does not fit into 1 bytes/);
  assert.match(await run.error(`eq ${page}`), /needs \[p\]ADDRESS=VALUE/);

  // What is mapped: QEMU reads the page tables, rebox the kernel's list.
  const mapped = [...(await run.text("hmp info mem")).matchAll(/^([0-9a-f]+)-([0-9a-f]+) [0-9a-f]+ (\S+)/gm)]
    .map(([, start, end, flags]) => ({ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), flags: flags! }))
    .filter(({ start, flags }) => start < 1n << 47n && flags.includes("u"));
  const maps = (await run.data<Row[]>("vmmap")).map((row) => ({
    start: BigInt(row.start!),
    end: BigInt(row.end!),
    permissions: row.permissions!,
  }));
  assert.ok(mapped.length > 4, `${mapped.length} ranges`);
  for (const { start, end, flags } of mapped) {
    for (let at = start; at < end; at += 4096n) {
      const area = maps.find((one) => at >= one.start && at < one.end);
      assert.ok(area, `${hex(at)} is mapped, and in no mapping`);
      if (flags.includes("w")) assert.match(area.permissions, /w/, hex(at));
    }
  }
  assert.match(await run.text(`hmp gva2gpa ${word}`), new RegExp(`gpa: ${run.at("physical.0")}\\b`));

  // Code, from the program counter on.
  const code = await run.data<Row[]>("dis 3");
  assert.equal(code[0]?.address, run.at("call"));
  assert.deepEqual(code, await run.data<Row[]>("u rip:3"));
  const before = await run.data<Row[]>(`ub ${code[2]!.address}:2`);
  assert.deepEqual(
    before.map(({ address }) => address),
    code.slice(0, 2).map(({ address }) => address),
  );
  const listed = [...(await run.text(`hmp x /3i ${run.at("call")}`)).matchAll(/^0x([0-9a-f]+): {2}/gm)];
  // Bytes that find no room in a line of the monitor's are in the next one.
  for (const { address } of code)
    assert.ok(
      listed.some(([, at]) => BigInt(`0x${at}`) === BigInt(address!)),
      address,
    );
});

testRounds("steps go where the program goes: into a call, over it, out of it, and to an address", {}, async (run) => {
  const stand = async () => (await run.monitor()).get("RIP")!;
  await run.text(`bp ${run.at("call")} once`);
  await run.hit();
  // It has been called: where it returns to is on the stack, and what is before that is the call.
  const back = BigInt((await run.data<{ values: string[] }>("dq rsp:1")).values[0]!);
  const inside = await run.data<Row>("step");
  assert.equal(BigInt(inside.address!), await stand());
  const code = await run.data<Row[]>(`u ${run.at("call")}:8`);
  assert.equal(inside.address, code[1]!.address);
  const ret = code.find(({ instruction }) => /^ret/.test(instruction!))!;
  await run.text(`until ${ret.address}`);
  assert.equal(await stand(), BigInt(ret.address!));
  await run.text("step");
  assert.equal(await stand(), back);
  // Round after round to the call, which "next" executes as a whole.
  const call = (await run.data<Row[]>(`u ${hex(back - 5n)}:1`))[0]!;
  assert.match(call.instruction!, /^call/);
  await run.text(`until ${call.address}`);
  await run.text("next");
  assert.equal(await stand(), back);
  assert.match(await run.error("step 0"), /takes 1 to/);
  assert.equal(
    (await run.text("where")).replace(/ at 0x.*?;/, " at PLACE;"),
    "the machine does not count its instructions; vCPU 0 at PLACE; the guest is not recorded, paused",
  );
  assert.match(await run.error("goto 1000"), /needs a replay/);
  await run.text("cont");
  assert.match(await run.error("step"), /the guest runs: pause it first/);
  await run.text("pause");
});

test("the machine: status, I/O ports, snapshots and monitoring, compared with QEMU's monitor", () =>
  inFolder(async (folder) => {
    const disk = join(folder, "disk.qcow2");
    execFileSync(QEMU_IMG, ["create", "-q", "-f", "qcow2", disk, "64M"], { env: { ...process.env, LD_PRELOAD: "" } });
    await withShell({ task: "pattern", qemuArgs: ["-drive", `file=${disk},if=virtio`] }, async (run) => {
      const truth = await run.truth("pattern.done");
      const physical = truth.get("pattern.physical")!;
      const pattern = hex(BigInt(truth.get("pattern.value")!));
      assert.match(await run.text("status"), /the guest is running/);
      assert.match(await run.text("hmp info status"), /running/);
      assert.equal((await run.data<Row>("qmp query-status")).status, "running");
      assert.match(await run.error("qmp nosuch"), /nosuch/);
      assert.match(await run.error("qmp query-status {"), /the arguments of qmp/);
      await run.text("pause");
      assert.match(await run.text("status"), /the guest is paused/);
      assert.match(await run.text("hmp info status"), /paused/);
      const value = async () => (await run.data<{ values: string[] }>(`dq p${physical}:1`)).values[0];
      assert.equal(await value(), pattern);
      await run.text("savevm before");
      assert.match(await run.text("hmp info snapshots"), /^\S+ +before /m);
      await run.text(`eq p${physical}=1`);
      assert.equal(await value(), "0x1");
      await run.text("loadvm before");
      assert.equal(await value(), pattern);
      assert.match(await run.text(`hmp xp /1gx ${physical}`), new RegExp(pattern.slice(2)));
      assert.match(await run.error("loadvm nosuch"), /nosuch/);

      // The clock's CMOS: an index at port 70, its byte at 71; register 32 is the century.
      await run.text("iowb 70=32");
      assert.equal((await run.data<Row>("iorb 71")).value, "0x20");
      assert.match(await run.text("hmp i /1b 0x71"), /0x20$/);
      // PCI's configuration: the host bridge says who it is, in every width.
      await run.text("iowd cf8=80000000");
      const [, identity] = / = (0x[0-9a-f]+)/.exec(await run.text("hmp i /1w 0xcfc"))!;
      assert.equal((await run.data<Row>("iord cfc")).value, hex(BigInt(identity!)));
      assert.equal((await run.data<Row>("iorw cfc")).value, hex(BigInt(identity!) & 0xffffn));
      assert.equal((await run.data<Row>("iorb cfc")).value, hex(BigInt(identity!) & 0xffn));
      assert.equal((await run.data<Row>("iord cf8")).value, "0x80000000");
      // The first serial port's scratch register keeps what is written.
      await run.text("ioww 3fe=a500");
      assert.match(await run.text("hmp i /1b 0x3ff"), /0xa5$/);
      assert.match(await run.error("iowb 70=100"), /does not fit into 1 bytes/);
      assert.match(await run.error("iorb 10000"), /port is 65536/);

      const kind = async () => (await run.data<Row[]>("ps 1"))[0]!.kind;
      assert.equal(await kind(), "user");
      await run.text("mon 1");
      assert.equal(await kind(), "monitored");
      const { pgd } = (await run.data<Row[]>("ps 1"))[0]!;
      assert.equal(await run.data("!isMonitoredProcess(" + pgd + "n)"), true);
      await run.text("unmon 1");
      assert.equal(await kind(), "user");
      assert.match(await run.error("unmon 1"), /does not monitor/);
      await run.text("cont");
      assert.match(await run.text("hmp info status"), /running/);
    });
  }));

test("a file observes the guest for a shell, until it is ended", () =>
  inFolder(async (folder) => {
    const file = join(folder, "calls.ts");
    writeFileSync(
      file,
      `import { CallbackManager } from "rebox"; import { type GuestObserver } from "rebox/lab";
       export function observe({ callbacks, options, tell }: GuestObserver) {
         let calls = 0;
         const addr = BigInt(options.addr as string);
         callbacks.addCallback(CallbackManager.INSN_BEGIN_CB, () => tell(++calls), { addr });
         return () => ({ calls });
       }`,
    );
    await withRounds({}, async (run) => {
      const begin = async () =>
        (await run.data<{ number: number }>(`observe ${file} {"addr": "${run.at("call")}"}`)).number;
      const number = await begin();
      await run.text(`bp ${run.at("call")}`);
      for (let calls = 0; calls < 5; calls++) await run.hit();
      // The guest stands before the fifth call's first instruction, which both have been told of.
      assert.deepEqual(await run.data(`observe_end ${number}`), { calls: 5 });
      assert.match(await run.error(`observe_end ${number}`), new RegExp(`observes nothing as number ${number}`));
      assert.match(await run.error(`observe ${file} 7`), /the options of observe/);
      assert.match(await run.error(`observe ${join(folder, "nosuch.ts")}`), /nosuch\.ts/);
    });
  }));
