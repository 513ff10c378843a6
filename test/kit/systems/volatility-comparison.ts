import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestKit } from "../guests/guest-kits";
import type { GuestReport } from "../guests/guest-report";
import { networkFolders, readMaps, readOpenFiles, readProcess, readSockets, unescapeOctal } from "./linux-truth";
import { type Row, runPlugins, type VolatilityRun, whyNoVolatility } from "./volatility-run";

/** A machine on which plugins are run. */
export interface VolatilityVariant {
  readonly name: string;
  readonly kit: GuestKit;
  readonly qemuArgs: readonly string[];
  /** Which of CHECKS; all by default. */
  readonly plugins?: readonly string[];
}

/** Workers of the kernel come, go and change their names by themselves. */
function isWorker(name: string): boolean {
  return /^kworker\//.test(name);
}

/**
 * What the guest says of its processes, without workers, and without those that have ended and wait for their parent or their
 * threads: Volatility leaves out what has no namespaces (task_struct.is_valid).
 */
function listProcesses({ report }: VolatilityRun) {
  const pids = report
    .list("/proc")
    .map(Number)
    .filter(Number.isInteger)
    .filter((pid) => !hasEnded(report, pid));
  return pids.map((pid) => readProcess(report, pid)).filter(({ name }) => !isWorker(name));
}

/** Volatility does not follow the kernel where a process writes over its command line and environment. */
function isTitled(name: string): boolean {
  return name === "titled";
}

/** The state behind the name in /proc/PID/stat: Z for a zombie, X for one that is gone. */
function hasEnded(report: GuestReport, pid: number): boolean {
  return /^.*\) [ZX] /s.test(report.text(`/proc/${pid}/stat`));
}

/** Volatility ends a text at the first byte that is no UTF-8. */
function cutText(text: string): string {
  return text.replace(/\ufffd.*$/s, "");
}

function flatten(rows: readonly Row[], parent?: Row): { readonly row: Row; readonly parent: Row | undefined }[] {
  return rows.flatMap((row) => [{ row, parent }, ...flatten(row.__children, row)]);
}

/** The pids whose report still holds: of what reports, the files and the memory are others meanwhile. */
function reported(run: VolatilityRun): number[] {
  const reporter = Number(run.truth.get("zoo.reported"));
  // Volatility takes the file behind an overlay for the one that is mapped.
  return listProcesses(run)
    .filter(({ pid, name }) => pid !== reporter && name !== "overlaid")
    .map(({ pid }) => pid);
}

/** Volatility puts a blank before the path of a file that is deleted. */
function withoutBlank(path: string): string {
  return path.endsWith(" (deleted)") ? path.replace(/^ /, "") : path;
}

type Check = (rows: readonly Row[], run: VolatilityRun) => void;

/** What has no path, as Volatility shows it: it knows no [vvar]. */
function mapPath(path: string): string {
  return path === "" || path.startsWith("[vvar") ? "Anonymous Mapping" : path;
}

const CHECKS: Readonly<Record<string, Check>> = {
  "linux.pslist": (rows, run) => {
    const actual = rows.filter(({ COMM }) => !isWorker(String(COMM)));
    const words = actual.map(({ PID, PPID, COMM, UID, EUID, GID, EGID }) => [PID, PPID, COMM, UID, EUID, GID, EGID]);
    const expected = listProcesses(run).map((one) => [
      ...[one.pid, one.ppid, cutText(one.name), one.uid, one.euid, one.gid, one.egid],
    ]);
    assert.deepEqual(words.sort(byPid), expected.sort(byPid));
    assert.ok(expected.length > 40, `${expected.length} processes`);
    const own = run.processes.filter((line) => !hasEnded(run.report, parseInt(line, 10)));
    assert.deepEqual(rows.map((row) => `${row.PID} ${row["OFFSET (V)"]}`).sort(), own.sort());
  },
  "linux.psaux": (rows, run) => {
    const actual = new Map(rows.map(({ PID, ARGS }) => [PID, String(ARGS).trim()]));
    for (const { pid, name, words, isKernelThread } of listProcesses(run)) {
      if (isTitled(name)) continue;
      const expected = isKernelThread ? `[${name}]` : words.join(" ").trim();
      assert.equal(actual.get(pid), expected, `process ${pid}`);
    }
  },
  "linux.pstree": (rows, run) => {
    const all = flatten(rows);
    const actual = new Map(all.map(({ row, parent }) => [row.PID, parent?.PID ?? 0]));
    for (const { pid, ppid } of listProcesses(run)) assert.equal(actual.get(pid), ppid, `the parent of ${pid}`);
  },
  "linux.lsmod": (rows, { report }) => {
    const actual = rows.map((row) => `${row["Module Name"]} ${row["Code Size"]}`);
    const expected = report.lines("/proc/modules").map((line) => line.split(" ").slice(0, 2).join(" "));
    assert.notEqual(expected.length, 0);
    assert.deepEqual(actual, expected);
  },
  "linux.lsof": (rows, run) => {
    for (const pid of reported(run)) {
      const actual = rows
        .filter(({ PID, TID }) => PID === pid && TID === pid)
        .map(({ FD, Path }) => `${FD} ${withoutBlank(String(Path)).replace(/(anon_inode:)\[\d+\]$/, "$1")}`);
      // Of what has no file behind it, Volatility shows the number of the inode that all of them share.
      const expected = readOpenFiles(run.report, pid).map((line) =>
        line
          .split(" ")
          .slice(0, -2)
          .join(" ")
          .replace(/anon_inode:.*$/, "anon_inode:"),
      );
      assert.deepEqual(actual.sort(), expected.sort(), `process ${pid}`);
    }
  },
  "linux.sockstat": (rows, { report }) => {
    const inet = rows.filter(({ Family }) => String(Family).startsWith("AF_INET"));
    const actual = inet.map((row) => {
      const end = (side: string): string => `${row[`${side} Addr`]}:${row[`${side} Port`]}`;
      const type = row.Type === "DGRAM" ? "datagram" : String(row.Type).toLowerCase();
      return [row.Family === "AF_INET" ? "inet" : "inet6", type, end("Source"), end("Destination")].join(" ");
    });
    // Volatility goes by the descriptors of processes: what no process has, of inode 0, it cannot find.
    const expected = [...networkFolders(report).values()]
      .flatMap((path) => readSockets(report, path))
      .filter((line) => / inet6? /.test(line) && !line.startsWith("0 "))
      .map((line) => line.split(" "))
      .map(([, family, type, , local, remote]) => [family, type, local, remote].join(" "));
    assert.ok(expected.length >= 8, expected.join("\n"));
    assert.deepEqual([...new Set(actual)].sort(), [...new Set(expected)].sort());
  },
  "linux.proc.Maps": (rows, run) => {
    for (const pid of reported(run)) {
      const actual = rows
        .filter(({ PID }) => PID === pid)
        .map((row) => [row.Start, row.End, row.Flags, row.PgOff, withoutBlank(String(row["File Path"]))].join(" "));
      const expected = readMaps(run.report, pid).map((line) => {
        const [, start, end, flags, offset, path] = /^(\S+)-(\S+) (...). (\d+) (.*)$/s.exec(line)!;
        return [`0x${start}`, `0x${end}`, flags, offset, mapPath(path!)].join(" ");
      });
      assert.deepEqual(actual, expected, `process ${pid}`);
    }
  },
  "linux.kmsg": (rows, { report }) => {
    const expected = report.lines("/tmp/dmesg").map((line) => line.replace(/^\[ *\d+\.\d+\] /, ""));
    const actual = rows
      .flatMap(({ line }) => String(line).split("\n"))
      // What a record says of its device is below it.
      .filter((line) => !/^ (SUBSYSTEM|DEVICE)=/.test(line));
    assert.ok(expected.length > 100);
    // Volatility leaves out the newest record, the one that desc_ring.head_id names.
    assert.ok(actual.length >= expected.length - 1);
    assert.deepEqual(actual.slice(0, expected.length), expected.slice(0, actual.length));
  },
  "linux.check_syscall": (rows, { report }) => {
    const names = new Map<string, Set<string>>();
    for (const line of report.lines("/tmp/kallsyms")) {
      const [address, , name] = line.split(/[ \t]/) as [string, string, string];
      const key = `0x${BigInt(`0x${address}`).toString(16)}`;
      names.set(key, (names.get(key) ?? new Set()).add(name));
    }
    assert.ok(rows.length > 300, `${rows.length} system calls`);
    for (const row of rows) {
      const handler = String(row["Handler Address"]);
      assert.ok(names.get(handler)?.has(String(row["Handler Symbol"])), `${handler} ${row["Handler Symbol"]}`);
    }
    // arch/x86/entry/syscalls/syscall_64.tbl: write is 1, getpid is 39.
    const sixtyFour = rows.filter((row) => row["Table Name"] === "64bit");
    for (const [index, name] of [
      [1, "__x64_sys_write"],
      [39, "__x64_sys_getpid"],
    ] as const) {
      const row = sixtyFour.find(({ Index }) => Index === index);
      assert.ok(names.get(String(row?.["Handler Address"]))?.has(name), name);
    }
  },
  "linux.envars": (rows, run) => {
    for (const pid of reported(run)) {
      const actual = rows.filter(({ PID }) => PID === pid).map(({ KEY, VALUE }) => `${KEY}=${VALUE}`);
      if (isTitled(readProcess(run.report, pid).name)) continue;
      const expected = (run.report.find(`/proc/${pid}/environ`) ?? "").split("\0").filter((text) => text.includes("="));
      assert.deepEqual(actual, expected, `process ${pid}`);
    }
  },
  "linux.mountinfo": (rows, { report }) => {
    const expected = report.lines("/proc/self/mountinfo").map((line) => {
      const [id, parent, device, , path] = line.split(" ");
      const [type, source] = line.split(" - ")[1]!.split(" ");
      return [id, parent, device, unescapeOctal(path!), type, unescapeOctal(source!)].join(" ");
    });
    const ids = new Set(expected.map((line) => Number(line.split(" ")[0])));
    const actual = rows
      .filter((row) => ids.has(row["MOUNT ID"] as number))
      .map((row) =>
        ["MOUNT ID", "PARENT_ID", "MAJOR:MINOR", "MOUNT_POINT", "FSTYPE", "MOUNT_SRC"]
          .map((name) => row[name])
          .join(" "),
      );
    assert.deepEqual([...new Set(actual)].sort(), expected.sort());
  },
  "linux.elfs": (rows, run) => {
    for (const pid of reported(run)) {
      const maps = readMaps(run.report, pid).map((line) => /^(\S+)-\S+ \S+ (\d+) (.*)$/s.exec(line)!);
      const actual = rows.filter(({ PID }) => PID === pid);
      for (const row of actual) {
        const found = maps.find(([, start]) => row.Start === `0x${start}`);
        assert.equal(
          withoutBlank(String(row["File Path"])),
          mapPath(found?.[3] ?? "nothing"),
          `process ${pid}, ${row.Start}`,
        );
      }
    }
    // Others may not have touched the first page of their programs, which is not in their page tables then.
    const first = rows.filter(({ PID }) => PID === 1).map((row) => row["File Path"]);
    assert.deepEqual(first, [readProcess(run.report, 1).executable, "[vdso]"]);
  },
  // The guest has no bash: there is nothing to be found, and nothing to fail at.
  "linux.bash": (rows) => assert.deepEqual(rows, []),
};

function byPid([a]: readonly unknown[], [b]: readonly unknown[]): number {
  return Number(a) - Number(b);
}

/** Boots a guest, runs plugins of the real Volatility on it while it lives, and compares with what it says itself. */
export function compareVolatility({ name, kit, qemuArgs, plugins = Object.keys(CHECKS) }: VolatilityVariant): void {
  test(`Volatility's plugins agree with a guest with ${name}`, { skip: whyNoVolatility() }, async (t) => {
    const run = await runPlugins(kit, plugins, qemuArgs);
    for (const plugin of plugins) {
      await t.test(`${plugin} agrees with the guest`, () => {
        const { rows, error } = run.plugins[plugin]!;
        assert.equal(error, undefined);
        CHECKS[plugin]!(rows, run);
      });
    }
    await t.test("the guest stood still meanwhile and runs again, and nothing is left behind", () => {
      assert.deepEqual(run.states, ["running", "paused", "running"]);
      assert.deepEqual(run.leftBehind, []);
    });
  });
}
