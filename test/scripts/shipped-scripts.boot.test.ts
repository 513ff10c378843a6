import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { type GuestRun, type GuestRunOptions, runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { readRun } from "../../scripts/_coverage_file";
import { BUILT, PROJECT } from "../kit/project";

const SCRIPTS = join(PROJECT, "scripts");

interface ShippedRun extends GuestRun {
  /** What the shipped script printed. */
  readonly printed: readonly string[];
  /** What the driver said. */
  readonly said: readonly string[];
}

/**
 * Runs a shipped script in the sandbox, and beside it a trusted script that gives it commands. The driver's body may use
 * run(line), say(text), untilTruth(key) and sleep(ms); it begins when the guest does.
 */
async function ship(
  name: string,
  options: Omit<GuestRunOptions, "script" | "trust"> & { readonly drive?: string; readonly folder?: string },
): Promise<ShippedRun> {
  const own = options.folder ?? mkdtempSync(join(tmpdir(), "rebox-shipped-"));
  const config = join(own, "pyrebox.conf");
  writeFileSync(config, `[MODULES]\nscripts.${name}: True\n[PERMISSIONS]\nscripts.${name}: fs:results, volatility\n`);
  try {
    const run = await runGuest({
      ...options,
      trust: true,
      reboxArgs: ["-c", config, ...(options.reboxArgs ?? [])],
      script: (serial) => `
        ${scriptPrelude(serial)}
        import { CallbackManager, Engine, getRunningProcess, readCpu, runCommand as run, sendKey, startMonitoringProcess, stopMonitoringProcess } from "rebox";
        const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
        const results = ${JSON.stringify(join(own, "results"))};
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          const say = (text: unknown) => print("driver: " + text);
          const callbacks = new CallbackManager(handle);
          const atBootSector = (call: () => void) =>
            callbacks.addCallback("INSN_BEGIN_CB", call, { addr: 0x7c00n, filter: { hits: 1 } });
          const drive = async (): Promise<void> => { ${options.drive ?? ""} };
          void [atBootSector, untilTruth, run, sleep, results, getRunningProcess, readCpu, sendKey, startMonitoringProcess, stopMonitoringProcess, Engine];
          drive().catch((error) => say("failed: " + error.stack));
        }
        export function clean(): void {}
      `,
    });
    const said = run.messages.filter((text) => text.startsWith("driver: ")).map((text) => text.slice(8));
    return { ...run, said, printed: run.messages.filter((text) => !text.startsWith("driver: ")) };
  } finally {
    if (options.folder === undefined) rmSync(own, { recursive: true, force: true });
  }
}

function assertFine(run: ShippedRun): void {
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.ok(!run.said.some((text) => text.startsWith("failed")), run.said.join("\n"));
}

test("script_template loads and unloads", async () => {
  const run = await ship("script_template", { task: "poweroff" });
  assertFine(run);
  assert.deepEqual(run.printed, ["loaded"]);
});

test("script_example_min names each address space once, and counts them", async () => {
  const run = await ship("script_example_min", {
    // Its address spaces are those of the boot.
    ...{ task: "busy", boots: true },
    drive: `await untilTruth("busy");
      let answer = "";
      while (!(Number.parseInt(answer) > 5)) {
        await sleep(100);
        answer = await run("address_spaces");
      }
      say(answer);
      await Engine.get().quit();`,
  });
  assertFine(run);
  assert.ok(run.printed.length > 5);
  assert.equal(new Set(run.printed).size, run.printed.length);
  const counted = Number(/^(\d+) address spaces$/.exec(run.said[0] ?? "")?.[1]);
  assert.ok(counted > 3 && counted <= run.printed.length, String(counted));
});

test("script_example follows an address space, and another on command", async () => {
  const run = await ship("script_example", {
    task: "busy",
    drive: `await untilTruth("busy");
      // The shell of the task is in its loop most of the time, and then in user mode.
      while (readCpu().CPL !== 3n) await sleep(5);
      say(await run("follow " + getRunningProcess().toString(16)));
      await sleep(3000);
      await run("unfollow");
      await Engine.get().quit();`,
  });
  assertFine(run);
  assert.match(run.said[0] ?? "", /^following 0x[0-9a-f]+000$/);
  assert.ok(run.printed.some((text) => /^runs at 0x[0-9a-f]+ with its stack at 0x[0-9a-f]+$/.test(text)));
  const reports = run.printed
    .map((text) => /: (\d+) blocks, (\d+) bytes of code$/.exec(text))
    .filter((found) => found !== null);
  // An x86 instruction has at most 15 bytes, and a block at least one.
  for (const [, blocks, bytes] of reports) assert.ok(Number(bytes) >= Number(blocks));
  assert.ok(reports.some(([, blocks]) => Number(blocks) > 1000));
});

test("getset_var_example gives a trigger its variables and reads what it collected", async () => {
  const run = await ship("getset_var_example", { task: "poweroff" });
  assertFine(run);
  assert.match(run.printed[0] ?? "", /^collected: 8 blocks of 0x[0-9a-f]+$/);
  const addresses = run.printed[1]?.split(" ") ?? [];
  assert.equal(addresses.length, 8);
  // Where the kernel switches address spaces is kernel code.
  for (const address of addresses) assert.match(address, /^0xffffffff[0-9a-f]{8}$/);
});

test("range_test counts the blocks and calls of a kernel function, and calls go to the function that it calls", async () => {
  const run = await ship("range_test", {
    task: "identity",
    parameters: { symbols: "__x64_sys_geteuid" },
    drive: `const truth = await untilTruth("identity.ready");
      const at = BigInt(truth.get("symbol.__x64_sys_geteuid")!);
      say(await run("watch_range " + at.toString(16) + " 0x" + (at + 16n).toString(16)));
      await untilTruth("identity.uid"); say(await run("range_counts"));`,
  });
  assertFine(run);
  const at = BigInt(run.truth.get("symbol.__x64_sys_geteuid")!);
  assert.equal(run.said[0], `watching 0x${at.toString(16)} to 0x${(at + 16n).toString(16)}`);
  const [blocks] = /^\d+/.exec(run.said[1] ?? "") ?? [];
  // \`id -u\` asks once or more.
  assert.ok(Number(blocks) >= 1 && Number(blocks) < 1000, run.said[1]);
});

test("syscall_trace shows the guest's last call: reboot(2), with the numbers that its manual has for power off", async () => {
  const run = await ship("syscall_trace", {
    task: "poweroff",
    drive: 'say(await run("trace_syscalls reboot"));',
  });
  assertFine(run);
  assert.deepEqual(run.said, ["tracing reboot"]);
  // LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2 and LINUX_REBOOT_CMD_POWER_OFF of linux/reboot.h; the first is an int.
  const magic = (0xfee1dead - 0x1_0000_0000).toString();
  const last = run.printed.at(-1) ?? "";
  assert.match(last, /^\d+ \w+ reboot\(/);
  assert.ok(last.includes(`reboot(magic1=${magic}, magic2=${0x28121969}, cmd=0x4321fedc, arg=`), last);
});

test("net_capture writes the frames that QEMU's own dump has", () =>
  inFolder(async (folder) => {
    const dump = join(folder, "dump.pcap");
    const run = await ship("net_capture", {
      folder,
      task: "network",
      qemuArgs: [
        ...["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56"],
        ...["-object", `filter-dump,id=f0,netdev=n0,file=${dump}`],
      ],
      drive: `await run("capture " + results + "/none.pcap");
        say(await run("capture_end"));
        await run("capture " + results + "/own.pcap");`,
    });
    assertFine(run);
    const frames = readPcap(dump);
    assert.deepEqual(readPcap(join(folder, "results/own.pcap")), frames);
    assert.ok(frames.length >= 6);
    assert.deepEqual(run.said, ["0 frames captured"]);
    assert.deepEqual(readPcap(join(folder, "results/none.pcap")), []);
  }));

function readPcap(path: string): string[] {
  const file = readFileSync(path);
  assert.equal(file.readUInt32LE(0), 0xa1b2c3d4);
  assert.equal(file.readUInt32LE(20), 1);
  const frames: string[] = [];
  for (let at = 24; at < file.length;) {
    const size = file.readUInt32LE(at + 8);
    assert.equal(file.readUInt32LE(at + 12), size);
    frames.push(file.toString("hex", at + 16, at + 16 + size));
    at += 16 + size;
  }
  return frames;
}

test("coverage has the kernel function that the guest called, at the address that the guest names", () =>
  inFolder(async (folder) => {
    const run = await ship("coverage", {
      folder,
      task: "identity",
      parameters: { symbols: "__x64_sys_geteuid" },
      drive:
        'await untilTruth("identity.ready"); await run("coverage_begin all"); await untilTruth("identity.uid"); say(await run("coverage_write " + results + "/blocks.drcov"));',
      timeoutMs: 120_000,
    });
    assertFine(run);
    const file = readFileSync(join(folder, "results/blocks.drcov"));
    const [, count] = /^BB Table: (\d+) bbs\n/m.exec(file.toString("latin1")) ?? [];
    const begin = file.indexOf(`BB Table: ${count} bbs\n`) + `BB Table: ${count} bbs\n`.length;
    const head = file.toString("latin1", 0, begin);
    assert.match(
      head,
      /^DRCOV VERSION: 2\nDRCOV FLAVOR: rebox\nModule Table: version 2, count \d+\nColumns: id, base, end, entry, path\n/,
    );
    assert.equal(file.length - begin, 8 * Number(count));
    const bases = [...head.matchAll(/^(\d+), (0x[0-9a-f]{16}), /gm)].map(([, , base]) => BigInt(base!));
    const blocks = new Set<bigint>();
    for (let at = begin; at < file.length; at += 8) {
      blocks.add(bases[file.readUInt16LE(at + 6)]! + BigInt(file.readUInt32LE(at)));
      assert.ok(file.readUInt16LE(at + 4) > 0);
    }
    assert.equal(blocks.size, Number(count));
    assert.ok(blocks.has(BigInt(run.truth.get("symbol.__x64_sys_geteuid")!)));
  }));

test("coverage has of a process the blocks that a stream of them has, by its modules, and the edges between them", () =>
  inFolder(async (folder) => {
    const run = await ship("coverage", {
      folder,
      task: "talker",
      timeoutMs: 120_000,
      drive: `const seen = new Set<string>();
        let own: bigint | undefined;
        let hasEnded = false;
        let modules: { readonly name: string; readonly base: bigint; readonly size: number }[] = [];
        say(await run("coverage_begin process=talk* edges"));
        callbacks.addStream("BLOCK_BEGIN_CB", ({ pc, pgd, length }) => {
          for (let at = 0; at < length; at++) if (pgd[at] === own && pc[at]! >> 63n === 0n) seen.add(pc[at]!.toString(16));
        }, { columns: ["pc", "pgd"] });
        callbacks.addCallback("CREATEPROC_CB", (pid, pgd, name) => {
          if (name !== "talker" || own !== undefined) return;
          own = pgd;
          startMonitoringProcess(pgd);
        });
        callbacks.addCallback("LOADMODULE_CB", (_pid, pgd, base, size, name) => {
          if (pgd === own && !hasEnded) modules.push({ name, base, size });
        });
        // The next process may have its address space.
        callbacks.addCallback("REMOVEPROC_CB", (_pid, pgd) => {
          if (pgd !== own || hasEnded) return;
          hasEnded = true;
          stopMonitoringProcess(pgd);
        });
        await untilTruth("talker.done");
        say(await run("coverage_stop"));
        say(await run("coverage_write " + results + "/one.drcov"));
        say(await run("coverage_compare " + results + "/one.drcov " + results + "/one.drcov"));
        for (const { name, base, size } of modules) {
          const of = [...seen].map((pc) => BigInt("0x" + pc)).filter((pc) => pc >= base && pc < base + BigInt(size));
          say("seen " + name + " " + of.map((pc) => (pc - base).toString(16)).sort().join());
        }`,
    });
    assertFine(run);
    const modules = readRun(readFileSync(join(folder, "results/one.drcov")));
    const names = modules.map(({ path }) => path.replace(/.*\//, ""));
    assert.ok(names.includes("talker") && names.some((name) => name.startsWith("libc")), names.join(" "));
    let compared = 0;
    for (const line of run.said.filter((text) => text.startsWith("seen "))) {
      const [, name, offsets] = line.split(" ") as [string, string, string];
      const module = modules[names.indexOf(name)];
      if (offsets === "") continue;
      assert.deepEqual(
        [...module!.blocks.keys()].map((offset) => offset.toString(16)).sort(),
        offsets.split(","),
        name,
      );
      compared += module!.blocks.size;
    }
    assert.ok(compared > 1000, `${compared} blocks`);
    const facts = JSON.parse(readFileSync(join(folder, "results/one.drcov.json"), "utf8")) as {
      readonly path: string;
      readonly buildId?: string;
      readonly processes: readonly { readonly pid: number; readonly name: string }[];
    }[];
    const program = facts.find(({ path }) => path.endsWith("/talker"))!;
    assert.deepEqual(program.processes, [{ pid: Number(run.truth.get("talker.pid")), name: "talker" }]);
    assert.match(program.buildId ?? "", /^[0-9a-f]{40}$/);
    const edges = readFileSync(join(folder, "results/one.drcov.edges"), "utf8").trimEnd().split("\n");
    const places = new Set(modules.flatMap(({ path, blocks }) => [...blocks.keys()].map((offset) => `${path}+0x${offset.toString(16)}`))); // prettier-ignore
    assert.ok(edges.length > compared);
    for (const edge of edges) {
      const [pid, from, to] = edge.split(" ") as [string, string, string];
      assert.equal(pid, run.truth.get("talker.pid"));
      assert.ok(places.has(from) && places.has(to), edge);
    }
    assert.match(run.said[3]!, /talker: \d+ in both, 0 only in the first, 0 only in the second/);
  }));

test("api_trace writes the calls of the C library as the program itself says that it made them", () =>
  inFolder(async (folder) => {
    const run = await ship("api_trace", {
      folder,
      task: "talker",
      timeoutMs: 120_000,
      drive: `say(await run("api_trace_to " + results + "/api.log process=talk*"));
        await untilTruth("talker.done");
        say(await run("api_counts"));
        await run("api_trace_end");`,
    });
    assertFine(run);
    assert.match(run.said[0]!, /^tracing libc\.so\.6!\* .* into .*results\/api\.log$/);
    const acts = [...run.console.matchAll(/^rebox-act: \d+ (.*?)\r?$/gm)].map(([, act]) => act!);
    assert.equal(acts.length, Number(run.truth.get("talker.acts")));
    const pid = run.truth.get("talker.pid")!;
    const lines = readFileSync(join(folder, "results/api.log"), "utf8").trimEnd().split("\n");
    const calls = lines.map((line) => {
      const [, label, call, time, caller] = /^(.*?\/\d+) (.*), (\d+\.\d{3}) ms, (\S+)$/.exec(line)!;
      return { label: label!, call: call!, time: Number(time), caller: caller! };
    });
    // What it needs to say all that, it does not report; the callback of the second qsort() never came back from where it jumped.
    const isReported = (call: string) => !/^(printf|vsnprintf|fflush|exit)\(/.test(call);
    assert.deepEqual(
      calls.map(({ call }) => call).filter(isReported),
      // An address has two ways to be shown.
      acts.map((act) => act.replaceAll("(nil)", "NULL")),
    );
    assert.deepEqual(new Set(calls.map(({ label }) => label)), new Set([`${pid} talker/${pid}`]));
    // The program has no table of symbols but its own, and its only library calls itself.
    assert.ok(
      calls.every(({ caller }) => /^talker[!+]/.test(caller)),
      run.stderr,
    );
    const compared = calls.find(({ call }) => call.startsWith("strcmp"))!;
    assert.match(compared.caller, /^talker!compare\+0x/);
    // 1000 microseconds, by the guest's clock.
    assert.ok(calls.find(({ call }) => call.startsWith("usleep"))!.time > 0.9);
    assert.equal(calls.at(-1)!.call, "exit(3) = thread ended");
    const counted = new Map(
      [...run.said[1]!.matchAll(/^ *(\d+) (\S+)$/gm)].map(([, count, name]) => [name, Number(count)]),
    );
    for (const name of ["strcmp", "getenv", "write"]) {
      const expected = acts.filter((act) => act.startsWith(`${name}(`)).length;
      assert.equal(counted.get(`libc.so.6!${name}`), expected, name);
    }
  }));

test("api_trace shows below a call the functions that have led to it", () =>
  inFolder(async (folder) => {
    const run = await ship("api_trace", {
      folder,
      task: "talker",
      timeoutMs: 120_000,
      drive: `say(await run("api_trace_to " + results + "/api.log strcmp getpid stack process=talk*"));
        await untilTruth("talker.done");
        await run("api_trace_end");`,
    });
    assertFine(run);
    const lines = readFileSync(join(folder, "results/api.log"), "utf8").trimEnd().split("\n");
    const calls = lines.join("\n").split(/\n(?! )/).map((part) => part.split("\n    ")); // prettier-ignore
    assert.equal(calls.length, 4, lines.join("\n"));
    const functions = calls.map(([, ...stack]) => stack.map((place) => place.replace(/\+0x[0-9a-f]+$/, "")));
    assert.match(calls[0]![0]!, / getpid\(\) = \d+, /);
    assert.equal(functions[0]![0], "talker!main");
    for (const [at, stack] of functions.slice(1).entries()) {
      assert.match(calls[at + 1]![0]!, / strcmp\("\w+", "\w+"\) = -?\d+, .*, talker!compare\+0x/);
      assert.equal(stack[0], "talker!compare");
      // Through the C library's sort to main().
      assert.ok(stack.slice(1, stack.indexOf("talker!main")).every((place) => place.startsWith("libc.so.6")));
      assert.ok(stack.includes("talker!main"));
      assert.equal(stack.at(-1), "talker!_start");
    }
  }));

test("keylog has the line that was typed, as the guest has read it", async () => {
  const run = await ship("keylog", {
    task: "keys",
    drive: `await untilTruth("keys.ready"); await sleep(300);
      for (const key of ["r", "shift-e", "b", "backspace", "b", "o", "x", "f9", "minus", "1", "shift-1", "spc", "up", "z", "ret"]) { await sendKey(key, 20); await sleep(60); }
      await untilTruth("keys.line"); await Engine.get().quit();`,
  });
  assertFine(run);
  assert.deepEqual(run.printed, ["rEb<Backspace>box<F9>-1! <Up>z"]);
  // The console's line discipline has the backspace in effect; F9 and Up are sequences of its own.
  assert.match(run.truth.get("keys.line") ?? "", /^rEbox.*-1! .*z$/);
});

/**
 * A boot sector, assembled by hand: 16-bit code that writes three instructions to 0x20000, and goes there.
 *
 *   7c00  eb 00              jmp 7c02            what is begun at 7c00 holds from here on
 *   7c02  b8 00 20           mov ax, 0x2000
 *   7c05  8e c0              mov es, ax
 *   7c07  31 ff              xor di, di
 *   7c09  b8 90 fa           mov ax, 0xfa90        nop; cli
 *   7c0c  ab                 stosw
 *   7c0d  b0 f4              mov al, 0xf4          hlt
 *   7c0f  aa                 stosb
 *   7c10  ea 00 00 00 20     jmp 2000:0000
 */
const WRITES_CODE = [
  ...[
    0xeb, 0x00, 0xb8, 0x00, 0x20, 0x8e, 0xc0, 0x31, 0xff, 0xb8, 0x90, 0xfa, 0xab, 0xb0, 0xf4, 0xaa, 0xea, 0x00, 0x00,
    0x00, 0x20,
  ],
];

function createBootDisk(folder: string): string[] {
  const sector = Buffer.alloc(512);
  Buffer.from(WRITES_CODE).copy(sector);
  sector.writeUInt16LE(0xaa55, 510);
  writeFileSync(join(folder, "boot.img"), sector);
  return ["-drive", `file=${join(folder, "boot.img")},format=raw,if=floppy`, "-boot", "a"];
}

test("page_write_execute finds the page that a boot sector writes code to, and who wrote it", () =>
  inFolder(async (folder) => {
    const run = await ship("page_write_execute", {
      folder,
      task: null,
      qemuArgs: createBootDisk(folder),
      drive: `atBootSector(() => void run("watch_wx all")); await sleep(6000); await Engine.get().quit();`,
    });
    assertFine(run);
    const found = run.printed.filter((text) => text.startsWith("0x20000 "));
    assert.deepEqual(found, ["0x20000 is executed, in a page that 0x7c0c wrote to"]);
    assert.ok(!run.printed.some((text) => text.startsWith("0x7c00 ")), "it is watched from its second block on");
  }));

test("mem_write_test reports the writes to a range, with their values", () =>
  inFolder(async (folder) => {
    const run = await ship("mem_write_test", {
      folder,
      task: null,
      qemuArgs: createBootDisk(folder),
      drive: `atBootSector(() => void run("watch_writes 20000 20003")); await sleep(6000); await Engine.get().quit();`,
    });
    assertFine(run);
    assert.deepEqual(run.printed, [
      "0x7c0c writes 0xfa90, 2 bytes, to 0x20000",
      "0x7c0f writes 0xf4, 1 bytes, to 0x20002",
    ]);
  }));

test("tls_plain watches, writes into its files and ends, in a guest that uses no TLS", () =>
  inFolder(async (folder) => {
    const run = await ship("tls_plain", {
      folder,
      task: "forkstorm",
      parameters: { acts: 2, now: 1 },
      // The kernel is there then.
      drive: `
        await untilTruth("forkstorm.pid");
        say(await run("tls_plain process=nobody*"));
        say(await run("tls_plain_to " + results + "/pieces.jsonl"));
        say(await run("tls_keys_to " + results + "/keys.log"));
        say(await run("tls_plain_end"));
        await Engine.get().quit();`,
    });
    assertFine(run);
    const files = ["pieces.jsonl", "keys.log"].map((name) => join(folder, "results", name));
    assert.deepEqual(run.said, [
      "what programs send and receive by TLS is printed",
      `what programs send and receive by TLS goes into ${files[0]}`,
      `the secrets of TLS connections go into ${files[1]}`,
      "watching no more",
    ]);
    assert.deepEqual(
      files.map((file) => readFileSync(file, "utf8")),
      ["", ""],
    );
  }));

test("every script that ships has a test here", () => {
  const tests = readFileSync(join(SCRIPTS, "../test/scripts/shipped-scripts.boot.test.ts"), "utf8");
  // The demonstration has its own, test/project/guide.boot.test.ts, and so have those whose truth takes more than a run.
  const own = new Set(readdirSync(join(SCRIPTS, "../test/scripts")).map((file) => file.replace(".boot.test.ts", "").replaceAll("-", "_"))); // prettier-ignore
  const untested = readdirSync(SCRIPTS)
    .filter((file) => file.endsWith(".ts") && !file.startsWith("_"))
    .map((file) => file.replace(/\.ts$/, ""))
    .filter((name) => name !== "live_view" && !own.has(name) && !tests.includes(`ship("${name}"`));
  assert.deepEqual(untested, []);
});

test("volatility_example lists the processes at each that begins, and the new one is among them", () =>
  inFolder(async (folder) => {
    const run = await ship("volatility_example", {
      task: "forkstorm",
      parameters: { acts: 2, now: 1 },
      env: {
        REBOX_VOLATILITY: `'${process.execPath}' '${join(BUILT, "test/kit/systems/stand-in-volatility.js")}'`,
        XDG_CACHE_HOME: join(folder, "cache"),
      },
      timeoutMs: 240_000,
    });
    assertFine(run);
    const lists: { pid: string; rows: string[] }[] = [];
    const spaces = run.printed.flatMap((line) => / (in address space .*)$/.exec(line)?.[1] ?? []);
    for (const line of run.printed) {
      const begun = /^(\d+) .* begins, in address space 0x[0-9a-f]+$/.exec(line);
      if (begun) lists.push({ pid: begun[1]!, rows: [] });
      else lists.at(-1)?.rows.push(line);
    }
    assert.ok(lists.length >= 3, run.printed.join("\n"));
    // The pause for Volatility, in which the callback waits, tells of no process once more; but of process 1 it may, which began
    // while the kernel was being found.
    const begun = lists.map(({ pid }, at) => `${pid} ${spaces[at]}`).filter((line) => !line.startsWith("1 "));
    assert.equal(new Set(begun).size, begun.length, begun.join("\n"));
    for (const { pid, rows } of lists) {
      assert.ok(
        rows.some((row) => row.startsWith(`  ${pid.padStart(6)} `)),
        `${pid} is not in\n${rows.join("\n")}`,
      );
      assert.ok(rows.some((row) => /^ +2 +0 kthreadd$/.test(row)));
    }
  }));

test("process_tree prints each process below its parent when it begins and when it ends", async () => {
  const run = await ship("process_tree", {
    task: "forkstorm",
    parameters: { acts: 30, now: 1 },
    drive: `
      const truth = await untilTruth("forkstorm.pid");
      say(truth.get("forkstorm.pid"));
      say(await run("process_tree"));
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  const director = run.said[0]!;
  const lines = run.printed.map((line) => /^( *)([+-]) (\d+) (.*)$/.exec(line)!);
  assert.ok(lines.every(Boolean), run.printed.join("\n"));
  const depth = lines.find(([, , sign, pid]) => sign === "+" && pid === director)![1]!.length;
  const children = lines.filter(([, , , , name], at) => at > 0 && name === "forkstorm");
  assert.ok(children.some(([, indent, sign]) => sign === "+" && indent!.length === depth + 2));
  assert.equal(lines[0]!.slice(1).join(), ",+,1,init");
  assert.match(run.said[1]!, /^1 init\n/);
  assert.match(run.said[1]!, new RegExp(`^ +${director} `, "m"));
  const begun = lines.filter(([, , sign]) => sign === "+").length;
  const ended = lines.filter(([, , sign]) => sign === "-").length;
  assert.ok(begun > 10 && ended > 5 && ended <= begun);
});
