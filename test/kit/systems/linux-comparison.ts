import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { GuestKit } from "../guests/guest-kits";
import type { GuestReport } from "../guests/guest-report";
import { type GuestRun, runGuest, scriptPrelude } from "../guests/guest-run";
import {
  findLivingPath,
  readMaps,
  readOpenFiles,
  readProcess,
  readSockets,
  unescapeOctal,
  networkFolders,
} from "./linux-truth";

/** Something that was found, or the error instead. */
type Found<T> = T | { readonly error: string };

interface FoundProcess {
  readonly process: Found<ReturnType<typeof readProcess>>;
  readonly pid: number;
  readonly pgd: string;
  readonly memoryMap: Found<string[]>;
  readonly openFiles: Found<string[]>;
  readonly sockets: Found<string[]>;
}

interface FoundGuest {
  readonly release: string;
  readonly processes: FoundProcess[];
  readonly modules: Found<string[]>;
  /** All sockets, by the number of their network namespace. */
  readonly networks: Found<Record<string, string[]>>;
  readonly mounts: Found<string[]>;
  readonly log: Found<string[]>;
  readonly bootTime: Found<number>;
  readonly symbols: Found<string[]>;
  /** Addresses of names in a program and its libraries, and what the addresses are called. */
  readonly userSymbols: Found<Record<string, [address: string, name: string | undefined]>>;
}

/** Names that native/guest/programs/dynamic/greeter.c prints the addresses of, with the library that each is in. */
const USER_SYMBOLS = [
  ["greeting_say", "libgreeting.so.1"],
  ["greeting_text", "libgreeting.so.1"],
  ["printf", "libc.so.6"],
  ["guest_answer", "/lib/libguest.so.1"],
];

/** Looks at all that rebox can say about a guest while it stands still, and writes it to a file. */
const LOOK = (serial: string, file: string): string => `
  import { Engine, getGuest, type SocketFacts } from "rebox";
  import { writeFileSync } from "node:fs";
  ${scriptPrelude(serial)}
  const attempt = <T>(read: () => T): T | { error: string } => {
    try { return read(); } catch (error) { return { error: String((error as Error).stack) }; }
  };
  const hex = (value: bigint) => value.toString(16);
  const describeSocket = (socket: SocketFacts) => {
    const { inode, family, type, state, protocol, path } = socket;
    if (family === "unix") return inode + " unix " + type + " " + path + (state === "LISTEN" ? " LISTEN" : "");
    if (family === "packet") return inode + " packet " + type + " " + protocol;
    if (family === "netlink") return inode + " netlink " + protocol + " " + socket.localPort;
    return [inode, family, type, state,
      socket.localAddress + ":" + socket.localPort, socket.remoteAddress + ":" + socket.remotePort].join(" ");
  };
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    void untilTruth("zoo.reported").then(look).catch((error) => print(String(error.stack))).finally(() => Engine.get().quit());
  }
  function look(): void {
    const guest = getGuest();
    const list = guest.getProcessList();
    const processes = list.map((one) => ({
      pid: one.pid,
      pgd: hex(one.pgd),
      process: attempt(() => {
        const { uid, euid, suid, gid, egid, sgid } = one.credentials;
        return {
          pid: one.pid, tgid: one.tgid, ppid: one.ppid, name: one.name, isKernelThread: one.isKernelThread,
          uid, euid, suid, gid, egid, sgid,
          commandLine: Buffer.from(one.commandLineBytes).toString("hex"), words: one.commandLine,
          environment: one.environment, executable: one.executable,
          workingFolder: one.workingFolder, rootFolder: one.rootFolder,
          startTime: Number(one.startTimeNs / 10_000_000n),
          threads: one.threads.map(({ tid, name }) => tid + " " + name).sort(),
        };
      }),
      memoryMap: attempt(() => one.memoryMap.map(({ start, end, permissions, offset, path }) =>
        hex(start) + "-" + hex(end) + " " + permissions + " " + offset + " " + path)),
      openFiles: attempt(() => one.openFiles.map(({ descriptor, path, position, flags }) =>
        descriptor + " " + path + " " + position + " " + (flags & ~0o2000000).toString(8))),
      sockets: attempt(() => one.sockets.map(describeSocket)),
    }));
    const modules = guest.getKernelModules();
    const found = {
      release: guest.kernel.release,
      processes,
      modules: attempt(() => modules.map(({ name, size, base }) => name + " " + size + " " + hex(base))),
      networks: attempt(() => {
        const networks: Record<string, string[]> = {};
        for (const socket of guest.getSockets()) (networks[socket.namespace] ??= []).push(describeSocket(socket));
        return networks;
      }),
      mounts: attempt(() => list[0]!.mounts.map(({ device, path, fileSystem, isReadOnly }) =>
        [device, path, fileSystem, isReadOnly ? "ro" : "rw"].join(" "))),
      log: attempt(() => guest.getKernelLog().map(({ text }) => text)),
      bootTime: attempt(() => Number(guest.clock.bootTimeNs / 1_000_000n) / 1000),
      symbols: attempt(() => Array.from(guest.symbols.search(0n, "*"), ({ address, type, name, module }) =>
        hex(address) + " " + type + " " + name + (module === "kernel" ? "" : " [" + module + "]"))),
      userSymbols: attempt(() => {
        const greeter = list.find(({ pid }) => pid === Number(readTruth().get("greeter.pid")))!;
        return Object.fromEntries(${JSON.stringify(USER_SYMBOLS)}.map(([name, module]) => {
          const address = guest.symbols.findAddress(greeter.pgd, module!, name!)!;
          return [name, [hex(address), guest.symbols.findSymbol(greeter.pgd, address + 1n)?.name]];
        }));
      }),
    };
    writeFileSync(${JSON.stringify(file)}, JSON.stringify(found));
  }
  export const clean = (): void => {};
`;

/** A machine to be looked at. */
export interface Variant {
  readonly name: string;
  readonly kit: GuestKit;
  readonly kernelArgs?: string;
  readonly qemuArgs?: readonly string[];
}

async function look({ kit, kernelArgs, qemuArgs }: Variant): Promise<GuestRun & { found: FoundGuest }> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-kernel-"));
  const file = join(folder, "found.json");
  try {
    const run = await runGuest({
      task: "zoo",
      kit,
      reports: true,
      timeoutMs: 120_000,
      script: (serial) => LOOK(serial, file),
      ...(kit.profile === undefined ? {} : { reboxArgs: ["-c", configFor(kit.profile, folder)] }),
      ...(kernelArgs === undefined ? {} : { kernelArgs }),
      ...(qemuArgs === undefined ? {} : { qemuArgs }),
    });
    assert.deepEqual(run.messages, [], run.stderr);
    return { ...run, found: JSON.parse(readFileSync(file, "utf8")) as FoundGuest };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A kernel that does not describe itself has a profile, which the configuration names. */
function configFor(profile: string, folder: string): string {
  const file = join(folder, "pyrebox.conf");
  writeFileSync(file, `[VOL]\nprofile: ${profile}\n`);
  return file;
}

/** Workers of the kernel come, go and change their names by themselves. */
function isWorker(name: string): boolean {
  return /^kworker\//.test(name);
}

/** Boots a guest, and compares all that is found in its memory with what it says itself. */
export function compareGuest(variant: Variant): void {
  describe(
    `a guest with ${variant.name}: what is found in its memory is what the guest says`,
    { concurrency: false },
    () => {
      let run: GuestRun & { found: FoundGuest };
      let report: GuestReport;
      let found: FoundGuest;
      let reporter: number;

      test("it is found", async () => {
        run = await look(variant);
        ({ report, found } = run);
        reporter = Number(run.truth.get("zoo.reported"));
        assert.equal(found.release, run.truth.get("kernel"));
      });

      test("processes: numbers, names, users, command lines, programs, start times, threads", () => {
        const pids = report.list("/proc").map(Number).filter(Number.isInteger);
        const expected = pids.map((pid) => readProcess(report, pid)).filter(({ name }) => !isWorker(name));
        const actual = found.processes.map(({ process }) => process);
        assert.deepEqual(
          actual.filter((one) => !("name" in one) || !isWorker(one.name)).sort(byPid),
          expected.sort(byPid),
        );
        assert.ok(expected.length > 40, `only ${expected.length} processes`);
      });

      test("an address space for each process that has one, and only one", () => {
        const owners = found.processes.filter(({ pgd }) => pgd !== "0").map(({ pid }) => pid);
        const expected = report
          .list("/proc")
          .map(Number)
          .filter((pid) => (report.find(`${findLivingPath(report, pid)}/maps`) ?? "") !== "");
        assert.deepEqual(owners.sort(ascending), expected.sort(ascending));
        assert.equal(new Set(found.processes.map(({ pgd }) => pgd)).size, owners.length + 1);
      });

      test("memory maps", () => {
        for (const { pid, memoryMap } of found.processes.filter((one) => one.pid !== reporter)) {
          assert.deepEqual(memoryMap, readMaps(report, pid), `process ${pid}`);
        }
      });

      test("files of containers: mapped by the path by which they were opened, on overlays, bind mounts and in a chroot", () => {
        const paths = (key: string) => {
          const pid = Number(run.truth.get(key));
          const map = found.processes.find((one) => one.pid === pid)!.memoryMap as string[];
          return map.map((line) => line.split(" ").slice(3).join(" ")).filter((path) => path.startsWith("/"));
        };
        const has = (list: readonly string[], names: readonly string[]) =>
          assert.deepEqual(
            names.filter((name) => !list.includes(name)),
            [],
            list.join("\n"),
          );
        const files = ["zoo", "below", "above", "folder/changed", "folder/gone (deleted)"];
        has(
          paths("zoo.overlaid"),
          files.map((name) => `/tmp/overlay/merged/${name}`),
        );
        has(paths("zoo.overlaid"), ["/tmp/overlay/bound/changed"]);
        has(
          paths("zoo.overlaid_root"),
          files.map((name) => `/tmp/overlay root/merged/${name}`),
        );
      });

      test("open files", () => {
        for (const { pid, openFiles } of found.processes.filter((one) => one.pid !== reporter)) {
          assert.deepEqual(openFiles, readOpenFiles(report, pid), `process ${pid}`);
        }
      });

      test("sockets that processes have open", () => {
        const sockets = found.processes.flatMap((one) => one.sockets as string[]);
        const all = [...networkFolders(report).values()].flatMap((folder) => readSockets(report, folder));
        const owned = new Set(
          report
            .list("/proc")
            .flatMap((pid) =>
              report.list(`/proc/${pid}/fd`).map((descriptor) => report.find(`/proc/${pid}/fd/${descriptor}`)),
            ),
        );
        const expected = all.filter((line) => owned.has(`socket:[${line.split(" ")[0]}]`));
        assert.deepEqual([...new Set(sockets)].sort(), expected.sort());
        assert.ok(expected.filter((line) => line.includes("inet6")).length >= 4, expected.join("\n"));
      });

      test("all sockets of every network, also those that no process has", () => {
        const folders = networkFolders(report);
        const expected = Object.fromEntries([...folders].map(([number, path]) => [number, readSockets(report, path)]));
        const actual = Object.entries(found.networks as Record<string, string[]>);
        assert.deepEqual(Object.fromEntries(actual.map(([number, sockets]) => [number, sockets.sort()])), expected);
        const shown = Object.values(expected).flat();
        for (const kind of [
          "0 inet stream TIME_WAIT",
          "0 inet stream SYN_RECV",
          "0 inet stream ESTABLISHED",
          "0 unix",
        ]) {
          assert.ok(
            shown.some((line) => line.startsWith(kind)),
            `${kind} is not among ${shown.join("\n")}`,
          );
        }
        assert.equal(folders.size, 2);
      });

      test("kernel modules", () => {
        const expected = report.lines("/proc/modules").map((line) => {
          const [name, size, , , , base] = line.split(" ");
          return `${name} ${size} ${BigInt(base!).toString(16)}`;
        });
        assert.notEqual(expected.length, 0);
        assert.deepEqual(found.modules, expected);
      });

      test("mounts", () => {
        const expected = report.lines("/proc/self/mountinfo").map((line) => {
          const [, , , , path, flags] = line.split(" ");
          const [fileSystem, device] = line.split(" - ")[1]!.split(" ");
          return [unescapeOctal(device!), unescapeOctal(path!), fileSystem, flags!.split(",")[0]].join(" ");
        });
        assert.deepEqual((found.mounts as string[]).toSorted(), expected.toSorted());
      });

      test("the kernel's log", () => {
        const expected = report.lines("/tmp/dmesg").map((line) => line.replace(/^\[ *\d+\.\d+\] /, ""));
        const actual = (found.log as string[]).flatMap((text) => text.split("\n"));
        assert.ok(expected.length > 100);
        assert.deepEqual(actual.slice(0, expected.length), expected);
      });

      test("when it was started", () => {
        const expected = Number(report.text("/tmp/date")) - Number(report.text("/tmp/uptime").split(" ")[0]);
        assert.ok(
          Math.abs((found.bootTime as number) - expected) < 2,
          `${JSON.stringify(found.bootTime)}, not ${expected}`,
        );
      });

      test("symbols of a program's libraries, by name and by address", () => {
        const expected = USER_SYMBOLS.map(([name]) => [name!, [run.truth.get(`greeter.${name}`)!.slice(2), name]]);
        assert.deepEqual(found.userSymbols, Object.fromEntries(expected));
      });

      test("every symbol of /proc/kallsyms, with its address", () => {
        const expected = report.lines("/tmp/kallsyms").flatMap((line) => {
          const [address, type, name, module] = line.split(/[ \t]/);
          // Trampolines of ftrace and programs of BPF are in no table.
          if (module !== undefined && /^\[(__builtin__|bpf)/.test(module)) return [];
          const text = BigInt(`0x${address}`).toString(16);
          return [`${text} ${type} ${name}${module === undefined ? "" : ` ${module}`}`];
        });
        assert.ok(expected.length > 30_000);
        const missing = difference(expected, found.symbols as string[]);
        const surplus = difference(found.symbols as string[], expected);
        assert.deepEqual(
          { missing: missing.slice(0, 20), surplus: surplus.slice(0, 20) },
          { missing: [], surplus: [] },
        );
      });
    },
  );
}

function difference(a: readonly string[], b: readonly string[]): string[] {
  const known = new Set(b);
  return a.filter((one) => !known.has(one));
}

function ascending(a: number, b: number): number {
  return a - b;
}

function byPid(a: object, b: object): number {
  return ("pid" in a ? Number(a.pid) : -1) - ("pid" in b ? Number(b.pid) : -1);
}
