import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type GuestKit, listKits } from "./guest-kits";
import { runGuest } from "./guest-run";
import { KernelReport } from "./kernel-report";

const JIFFY_NS = 10_000_000;

/** What a script saw in the guest, with bigints as decimal text. */
interface Seen {
  readonly banner: string;
  readonly bits: number;
  readonly cold: number;
  readonly time: number;
  readonly processes: readonly SeenProcess[];
  readonly modules: readonly { name: string; base: string; size: number }[];
  readonly symbols: readonly string[];
  readonly log: readonly string[];
  readonly clash: readonly string[];
}
interface SeenProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly pgd: string;
  readonly name: string;
  readonly isKernelThread: boolean;
  readonly tgid: number;
  readonly credentials: Record<string, number | string>;
  readonly commandLine: readonly string[];
  readonly executable: string;
  readonly startTimeNs: string;
  readonly threads: readonly { tid: number; name: string }[];
  readonly map: readonly string[];
  readonly files: readonly { descriptor: number; path: string; position: string; flags: number }[];
  readonly sockets: readonly Record<string, string | number>[];
  readonly mounts: readonly string[];
}

/** A script that writes all that it can find about the guest to a file, when the guest has reported. */
const look =
  (file: string) =>
  (serial: string): string => `
  import { existsSync, readFileSync, writeFileSync } from "node:fs";
  import { Engine, getGuest, getModuleList, getOsBits, getProcessList, getSymbolList, getSystemTime, symToVa, vaToSym } from "rebox";
  const hex = (value: bigint) => value.toString(16).padStart(getOsBits() / 4, "0");
  export function initialize_callbacks(): void {
    const timer = setInterval(() => {
      if (!readFileSync(${JSON.stringify(serial)}, "latin1").includes("zoo.reported=")) return;
      clearInterval(timer);
      const start = performance.now();
      const guest = getGuest();
      const cold = performance.now() - start;
      const processes = getProcessList().map((process) => ({
        pid: process.pid, ppid: process.ppid, pgd: process.pgd, name: process.name, tgid: process.tgid,
        isKernelThread: process.isKernelThread, credentials: process.credentials, commandLine: process.commandLine,
        executable: process.executable, startTimeNs: process.startTimeNs, threads: process.threads,
        map: process.memoryMap.map(({ start, end, permissions, offset, path }) =>
          [start.toString(16).padStart(8, "0") + "-" + end.toString(16).padStart(8, "0"), permissions,
           offset.toString(16).padStart(8, "0"), path.replaceAll("\\n", "\\\\012")].join(" ").trimEnd()),
        files: process.openFiles, sockets: process.sockets,
        mounts: process.mounts.map(({ device, path, fileSystem }) => device + "|" + path + "|" + fileSystem),
      }));
      const symbols = getSymbolList(0n);
      // A name of the kernel that only one symbol has leads back to its address.
      const clash = symbols.filter((symbol, index) => {
        if (index % 97 !== 0 || symbol.module !== "kernel" || symbol.type === "A") return false;
        const named = symToVa(0n, "kernel", symbol.name);
        return vaToSym(0n, symbol.address)?.address !== symbol.address || named === undefined || named > symbol.address;
      });
      const seen = { banner: guest.kernel.banner, bits: getOsBits(), cold, time: getSystemTime().getTime(), processes,
        modules: getModuleList(0n).slice(1),
        symbols: symbols.map((s) => hex(s.address) + " " + s.type + " " + s.name + (s.module === "kernel" ? "" : "\\t[" + s.module + "]")),
        log: guest.getKernelLog().map(({ text }) => text), clash: clash.map(({ name }) => name) };
      writeFileSync(${JSON.stringify(file)}, JSON.stringify(seen, (_, value) => typeof value === "bigint" ? value.toString() : value));
      void Engine.get().quit();
    }, 100);
  }
  export const clean = (): void => {};
`;

const [DEFAULT_KIT] = listKits();
const GUESTS: { what: string; kit: GuestKit; kernelArgs?: string; qemuArgs?: string[] }[] = [
  ...listKits()
    .filter(({ architecture }) => architecture === "amd64")
    .map((kit) => ({ what: `Linux ${kit.release}`, kit, qemuArgs: ["-m", "512"] })),
  {
    what: "a kernel with page-table isolation, without KASLR, on two vCPUs with 6 GiB",
    kit: DEFAULT_KIT!,
    kernelArgs: "pti=on nokaslr",
    qemuArgs: ["-smp", "2", "-m", "6144"],
  },
  { what: "a kernel with five levels of page tables", kit: DEFAULT_KIT!, qemuArgs: ["-cpu", "qemu64,+la57"] },
];

for (const { what, kit, kernelArgs, qemuArgs = [] } of GUESTS) {
  describe(`${what} says the same about itself as is seen from outside:`, () => {
    let folder: string;
    let seen: Seen;
    let report: KernelReport;
    let truth: ReadonlyMap<string, string>;
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "rebox-test-"));
      const [file, debug] = [join(folder, "seen.json"), join(folder, "report")];
      const run = await runGuest({
        task: "zoo",
        kit,
        ...(kernelArgs === undefined ? {} : { kernelArgs }),
        script: look(file),
        qemuArgs: [...qemuArgs, "-debugcon", `file:${debug}`],
        timeoutMs: 120_000,
      });
      assert.equal(run.stderr, "");
      assert.ok(existsSync(file), run.stdout);
      seen = JSON.parse(readFileSync(file, "utf8")) as Seen;
      report = new KernelReport(debug);
      truth = run.truth;
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    /** All but what reported them, which was at work meanwhile. */
    const processes = (): SeenProcess[] =>
      seen.processes.filter(
        ({ pid }) => pid !== Number(truth.get("zoo.reported")) && report.find(`/proc/${pid}/stat`) !== undefined,
      );
    const stat = (pid: number): string[] => {
      const text = report.get(`/proc/${pid}/stat`);
      return text.slice(text.lastIndexOf(")") + 2).split(" ");
    };
    const status = (pid: number, key: string): string =>
      new RegExp(`^${key}:\\s*(.*)$`, "m").exec(report.get(`/proc/${pid}/status`))?.[1] ?? "";

    test("version", () => assert.equal(seen.banner, report.get("/proc/version").trim()));

    test("processes", () => {
      // The kernel starts and ends workers as it likes.
      const isWorker = (pid: number): boolean =>
        report.find(`/proc/${pid}/comm`)?.toString().startsWith("kworker") ?? false;
      const pids = seen.processes.filter(({ name }) => !name.startsWith("kworker")).map(({ pid }) => pid);
      assert.deepEqual(
        pids.toSorted((a, b) => a - b),
        report
          .pids()
          .filter((pid) => !isWorker(pid))
          .toSorted((a, b) => a - b),
      );
      assert.ok(processes().length > 40);
      for (const process of processes()) {
        const comm = report.get(`/proc/${process.pid}/comm`).slice(0, -1);
        if (comm.startsWith("kworker")) assert.ok(comm.startsWith(process.name), comm);
        else assert.equal(process.name, comm.slice(0, process.isKernelThread ? 15 : undefined));
        assert.equal(process.ppid, Number(stat(process.pid)[1]), comm);
        assert.equal(process.tgid, process.pid);
        assert.equal(Math.floor(Number(process.startTimeNs) / JIFFY_NS), Number(stat(process.pid)[19]), comm);
        assert.equal(process.pgd === "0", !/^VmSize:/m.test(report.get(`/proc/${process.pid}/status`)), comm);
      }
    });

    test("credentials", () => {
      for (const { pid, credentials } of processes()) {
        const ids = (names: string[]): string => names.map((name) => credentials[name]).join("\t");
        assert.equal(ids(["uid", "euid", "suid", "fsuid"]), status(pid, "Uid"));
        assert.equal(ids(["gid", "egid", "sgid", "fsgid"]), status(pid, "Gid"));
        assert.equal(BigInt(credentials["effectiveCapabilities"]!), BigInt(`0x${status(pid, "CapEff")}`));
        assert.equal(BigInt(credentials["permittedCapabilities"]!), BigInt(`0x${status(pid, "CapPrm")}`));
      }
    });

    test("command lines and programs", () => {
      for (const { pid, commandLine, executable, isKernelThread } of processes()) {
        const words = report.get(`/proc/${pid}/cmdline`);
        assert.equal(commandLine.map((word) => `${word}\0`).join(""), words);
        if (!isKernelThread) assert.equal(executable, report.find(`/proc/${pid}/exe`)?.toString() ?? "");
      }
    });

    test("threads", () => {
      for (const { pid, threads } of processes()) {
        const path = `/proc/${pid}/task/`;
        const expected = report.below(path).flatMap((name) => {
          const tid = new RegExp(`^${path}(\\d+)/comm$`).exec(name)?.[1];
          return tid === undefined ? [] : [[Number(tid), report.get(name).slice(0, -1)] as const];
        });
        const found = threads.map(({ tid, name }) => [tid, name] as const).toSorted((a, b) => a[0] - b[0]);
        if (!report.get(`/proc/${pid}/comm`).startsWith("kworker")) {
          assert.deepEqual(
            found.map(([tid]) => tid),
            expected.map(([tid]) => tid).toSorted((a, b) => a - b),
          );
          for (const [tid, name] of expected)
            assert.equal(found.find((thread) => thread[0] === tid)?.[1], name.slice(0, 15));
        }
      }
      assert.equal(seen.processes.find(({ pid }) => pid === Number(truth.get("zoo.threads")))?.threads.length, 6);
    });

    test("memory maps", () => {
      let count = 0;
      for (const { pid, map } of processes()) {
        const expected = (report.find(`/proc/${pid}/maps`)?.toString() ?? "")
          .split("\n")
          .filter((line) => line !== "" && !line.endsWith("[vsyscall]"))
          .map((line) => line.replace(/^(\S+ \S+ \S+) \S+ \S+ */, "$1 ").trimEnd());
        assert.deepEqual(map, expected);
        count += map.length;
      }
      assert.ok(count > 100);
    });

    test("open files", () => {
      for (const { pid, files } of processes()) {
        const expected = report.below(`/proc/${pid}/fd/`).map((path) => {
          const info = report.get(path.replace("/fd/", "/fdinfo/"));
          const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(info)?.[1] ?? "";
          return {
            descriptor: Number(path.split("/").at(-1)),
            path: report.get(path),
            position: field("pos"),
            flags: Number.parseInt(field("flags"), 8) & ~0o2000000,
          };
        });
        const found = files.map(({ descriptor, path, position, flags }) => ({
          descriptor,
          path,
          position,
          flags: flags & ~0o2000000,
        }));
        assert.deepEqual(
          found,
          expected.toSorted((a, b) => a.descriptor - b.descriptor),
        );
      }
    });

    test("sockets", () => {
      const found = new Map(
        processes()
          .flatMap(({ sockets }) => sockets)
          .map((socket) => [String(socket["inode"]), socket]),
      );
      let count = 0;
      for (const [file, family, type] of [
        ["tcp", "inet", "stream"],
        ["tcp6", "inet6", "stream"],
        ["udp", "inet", "datagram"],
        ["udp6", "inet6", "datagram"],
      ] as const) {
        if (!report.find(`/proc/net/${file}`)) continue;
        for (const line of report.lines(`/proc/net/${file}`).slice(1)) {
          const [, local, remote, state, , , , , , inode] = line.trim().split(/\s+/);
          if (inode === "0") continue;
          const socket = found.get(inode!);
          assert.ok(socket, line);
          assert.deepEqual([socket["family"], socket["type"]], [family, type]);
          assert.equal(encode(socket["localAddress"] as string, socket["localPort"] as number), local);
          assert.equal(encode(socket["remoteAddress"] as string, socket["remotePort"] as number), remote);
          assert.equal(socket["state"], TCP_STATES[Number.parseInt(state!, 16)]);
          count++;
        }
      }
      for (const line of report.lines("/proc/net/unix").slice(1)) {
        const [, inode, path] = /^\S+ \S+ \S+ \S+ \S+ \S+ +(\d+)(?: (.*))?$/s.exec(line) ?? [];
        const socket = found.get(inode!);
        if (socket === undefined) continue;
        assert.equal(socket["family"], "unix");
        assert.equal(socket["path"], path ?? "");
        count++;
      }
      assert.ok(count >= 8, `${count}`);
    });

    test("mounts", () => {
      for (const { pid, mounts, isKernelThread } of processes()) {
        if (isKernelThread) continue;
        const expected = report.find(`/proc/${pid}/mountinfo`)?.toString() ?? "";
        const lines = expected.split("\n").filter((line) => line !== "");
        const unescape = (text: string): string =>
          text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
        assert.deepEqual(
          mounts.toSorted(),
          lines
            .map((line) => {
              const [before, behind] = line.split(" - ");
              const [fileSystem, device] = behind!.split(" ");
              return [unescape(device!), unescape(before!.split(" ")[4]!), fileSystem].join("|");
            })
            .toSorted(),
        );
      }
    });

    test("kernel modules", () => {
      const expected = report.lines("/proc/modules").map((line) => {
        const [name, size, , , , address] = line.split(" ");
        return { name, base: BigInt(address!).toString(), size: Number(size) };
      });
      assert.deepEqual(
        seen.modules.map(({ name, base, size }) => ({ name, base, size })),
        expected,
      );
      assert.ok(expected.length > 0);
    });

    test("all symbols with their addresses", () => {
      // Programs loaded into the kernel later (bpf), ftrace's and kprobes' pages have names in no table.
      const expected = report.kallsyms().filter((line) => !/\t\[(bpf|__builtin__\w+)\]$/.test(line));
      const sort = (lines: readonly string[]): string[] => lines.toSorted();
      const [found, wanted] = [sort(seen.symbols), sort(expected)];
      assert.equal(found.length, wanted.length);
      assert.deepEqual(found.filter((line, index) => line !== wanted[index]).slice(0, 5), []);
      assert.ok(found.length > 50_000);
      assert.deepEqual(seen.clash, []);
    });

    test("the kernel's log", () => {
      const expected = report.lines("/tmp/dmesg").map((line) => line.replace(/^\[ *\d+\.\d+\] /, ""));
      assert.deepEqual(seen.log.join("\n").split("\n").slice(0, expected.length), expected);
    });

    test("time of day", () => {
      const date = Number(report.get("/tmp/date")) * 1000;
      assert.ok(seen.time >= date - 1000 && seen.time < date + 60_000, `${seen.time} ${date}`);
    });
  });
}

const TCP_STATES = [
  "",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RECV",
  "FIN_WAIT1",
  "FIN_WAIT2",
  "TIME_WAIT",
  "CLOSE",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
];

/** Writes an address as /proc/net does: words of 32 bits in the machine's order, in hexadecimal. */
function encode(address: string, port: number): string {
  const bytes = address.includes(":") ? parseInet6(address) : address.split(".").map(Number);
  let text = "";
  for (let word = 0; word < bytes.length; word += 4) {
    text += bytes
      .slice(word, word + 4)
      .reverse()
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join("");
  }
  return `${text}:${port.toString(16).padStart(4, "0")}`.toUpperCase();
}

function parseInet6(address: string): number[] {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  if (mapped) return [...Array<number>(10).fill(0), 255, 255, ...mapped[1]!.split(".").map(Number)];
  const [head = "", tail = ""] = address.split("::");
  const parse = (text: string): number[] =>
    text === ""
      ? []
      : text.split(":").flatMap((word) => {
          const value = Number.parseInt(word, 16);
          return [value >> 8, value & 255];
        });
  const [first, last] = [parse(head), parse(tail)];
  return address.includes("::")
    ? [...first, ...Array<number>(16 - first.length - last.length).fill(0), ...last]
    : first;
}
