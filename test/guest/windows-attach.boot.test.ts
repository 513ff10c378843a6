import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readElfCore } from "../../src/systems/memory/images/elf-core";
import { makeCrashDump } from "../kit/windows/crash-writer";
import { runRebox } from "../kit/guests/guest-run";
import type { NtTruth } from "../kit/nt/nt-kernel";
import { withNt } from "../kit/nt/nt-run";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const SCRIPT = [
  "start smss.exe",
  "start csrss.exe smss.exe",
  "load csrss.exe library.dll",
  "driver disk.sys",
  "thread smss.exe",
  "start gone.exe",
  "start zombie.exe csrss.exe",
  "exit gone.exe",
  "zombie zombie.exe",
  "hold",
  "load smss.exe library.dll",
  "unload csrss.exe library.dll",
  "undriver disk.sys",
  "hold",
];
const BASE = 0xfffff80123456000n;

type Row = Readonly<Record<string, string | number | bigint | null>>;
interface Step {
  readonly name: string;
  readonly status: string;
  readonly evidence: string;
  readonly advice: string;
}

const of = (truth: readonly NtTruth[], event: string): NtTruth[] => truth.filter((one) => one.event === event);
const number = (value: unknown): bigint => BigInt(value as string | number | bigint);
const rows = (data: unknown): Row[] => data as Row[];

test(
  "an NT kernel is attached to by its symbols, and the shell tells of it what the kernel says of itself",
  { skip: WITHOUT_WINDOWS_TOOLS },
  async () => {
    await withNt({ script: SCRIPT, base: BASE }, async ({ folder, data, error, text, truth, untilHold, release }) => {
      await untilHold(1);
      const processes = of(truth(), "process").filter(({ name }) => name !== "gone.exe");
      const shown = rows(await data("ps"));
      assert.deepEqual(
        shown.map(({ pid, ppid, name, task }) => [number(pid), number(ppid), name, number(task)]),
        processes.map(({ pid, ppid, name, eprocess }) => [pid, ppid, name, eprocess]),
      );
      const zombie = processes.find(({ name }) => name === "zombie.exe");
      assert.deepEqual(
        shown.map(({ pgd }) => number(pgd)),
        processes.map((process) => (process === zombie ? 0n : process.cr3)),
      );
      assert.deepEqual(
        shown.map(({ kind }) => kind),
        ["kernel", "user", "user", "ended"],
      );

      const modulesOf = (pid: unknown) => of(truth(), "module").filter((module) => module.pid === pid);
      const gone = of(truth(), "process gone").map(({ pid }) => pid);
      for (const { pid, name } of processes.filter((one) => one.name !== "System" && !gone.includes(one.pid))) {
        assert.deepEqual(
          rows(await data(`lm ${name as string}`)).map(({ base, size, path }) => [number(base), number(size), path]),
          modulesOf(pid).map(({ base, size, path }) => [base, size, path]),
        );
      }
      assert.deepEqual(
        rows(await data("lm kernel")).map(({ base, size, path }) => [number(base), number(size), path]),
        of(truth(), "driver").map(({ base, size, path }) => [base, size, path]),
      );
      const threads = of(truth(), "thread").filter(({ pid }) => pid === processes[1]!.pid);
      assert.equal(threads.length, 2);
      assert.deepEqual(
        rows(await data("threads smss.exe")).map(({ tid, task }) => [number(tid), number(task)]),
        threads.map(({ tid, ethread }) => [tid, ethread]),
      );
      const ranges = rows(await data("vmmap csrss.exe"));
      for (const { base, size, path } of modulesOf(processes[2]!.pid)) {
        const range = ranges.find(({ start }) => number(start) === base)!;
        assert.equal(number(range.end), (base as bigint) + (size as bigint));
        assert.equal(`C:${range.path as string}`, path);
      }

      // Symbols of the kernel and of libraries, by their PDB files.
      const [head] = rows(await data("x kernel!PsActiveProcessHead"));
      const at = `0x${number(head!.address).toString(16)}`;
      const links = rows(await data(`dt _LIST_ENTRY ${at}`)).find(({ name }) => name === "Flink")!;
      assert.match(String(links.value), /_LIST_ENTRY|0x/);
      const [eprocess] = rows(
        await data(`dt _EPROCESS 0x${(processes[1]!.eprocess as bigint).toString(16)} ImageFileName`),
      );
      assert.match(String(eprocess!.value), /smss\.exe/);
      await data("proc smss.exe");
      const [thunk] = rows(await data("x ntdll!LdrInitializeThunk"));
      assert.equal(number(thunk!.address), threads[0]!.start);
      const [near] = rows(await data(`ln 0x${(number(thunk!.address) + 3n).toString(16)}`));
      assert.deepEqual([near!.module, near!.symbol, number(near!.distance)], ["ntdll.dll", "LdrInitializeThunk", 3n]);

      for (const line of ["sockets smss.exe", "ss", "bt smss.exe"]) {
        assert.match(await error(line), /^this is for Linux guests .*Windows 10\.0, build 19041, 64 bits/, line);
      }
      const { steps, isHealthy } = await data<{ steps: Step[]; isHealthy: boolean }>("doctor");
      assert.ok(isHealthy, JSON.stringify(steps));
      const evidence = new Map(steps.map((step) => [step.name, step.evidence]));
      assert.match(evidence.get("cpu")!, /LSTAR 0xfffff801234[0-9a-f]+ enters the kernel/);
      assert.match(evidence.get("image")!, /^ntkrnlmp\.pdb\/[0-9A-F]{33} at 0xfffff80123456000, /);
      assert.match(evidence.get("processes")!, /^4: System \(4\), smss\.exe/);
      assert.match(await text("doctor"), /Windows 10\.0, build 19041/);

      // An image of the machine's memory with its registers, wherever the vCPU was, shows the same.
      const place = mkdtempSync(join(tmpdir(), "rebox-nt-image-"));
      try {
        const lines = ["ps", "lm kernel", "lm csrss.exe", "vmmap smss.exe"];
        const env = { XDG_DATA_HOME: place, _NT_SYMBOL_PATH: folder };
        const living: string[] = [];
        for (const line of lines) living.push(await text(line));
        const compare = async (file: string): Promise<void> => {
          const { stdout, stderr } = await runRebox(["shell", "--image", file, ...lines], 60_000, undefined, env);
          assert.equal(stdout.trimEnd(), living.map((one) => one.trimEnd()).join("\n"), `${file}: ${stderr}`);
          rmSync(file);
        };
        const elf = join(place, "guest.elf");
        await data(`dump_memory ${elf}`);
        // So do crash dumps, which have only the page tables and the list of modules, and memory alone.
        const modules = rows(await data("x kernel!PsLoadedModuleList"))[0]!.address;
        const bytes = readFileSync(elf);
        const { parts, cpus } = readElfCore({ size: bytes.length, read: (at, size) => bytes.subarray(at, at + size) });
        const ranges = parts.map(({ address, offset, size }) => ({
          address,
          bytes: bytes.subarray(offset, offset + size),
        }));
        const facts = { ranges, tables: cpus[0]!.registers.get("CR3")!, modules: number(modules) };
        await compare(elf);
        for (const type of [1, 2, 5, 6]) {
          writeFileSync(join(place, "guest.dmp"), makeCrashDump({ ...facts, bits: 64, type }));
          await compare(join(place, "guest.dmp"));
        }
        for (const format of ["raw", "lime"]) {
          const file = join(place, `guest.${format}`);
          await data(`dump_memory ${file} --format ${format}`);
          await compare(file);
        }
      } finally {
        rmSync(place, { recursive: true, force: true });
      }

      await release();
      await untilHold(2);
      assert.deepEqual(
        rows(await data("lm csrss.exe")).map(({ name }) => name),
        ["csrss.exe", "ntdll.dll"],
      );
      assert.deepEqual(
        rows(await data("lm smss.exe")).map(({ name }) => name),
        ["smss.exe", "ntdll.dll", "library.dll"],
      );
      assert.equal(rows(await data("lm kernel")).length, 1);
    });
  },
);

test(
  "without symbols the doctor names the file that is missing, and how to get it",
  { skip: WITHOUT_WINDOWS_TOOLS },
  async () => {
    await withNt({ script: ["start smss.exe", "hold"], hasSymbols: false }, async ({ data, error, untilHold }) => {
      await untilHold(1);
      const { steps, isHealthy } = await data<{ steps: Step[]; isHealthy: boolean }>("doctor");
      assert.equal(isHealthy, false);
      const symbols = steps.find(({ name }) => name === "symbols")!;
      assert.equal(symbols.status, "fail");
      assert.match(
        symbols.evidence,
        /a Windows kernel is at 0xfffff80000200000, and there is no symbol file ntkrnlmp\.pdb\//,
      );
      assert.match(symbols.advice, /rebox symbols get ntkrnlmp\.pdb\/[0-9A-F]{33} --server/);
      assert.match(await error("ps"), /Windows kernel cannot be read \(symbols\)/);
    });
  },
);
