import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { defaultKit, type GuestKit, listKits } from "../kit/guests/guest-kits";
import type { GuestReport } from "../kit/guests/guest-report";
import {
  compareParts,
  type ImagedGuest,
  type ImagedMachine,
  lookInto,
  readElfParts,
  readLimeParts,
  withImages,
} from "../kit/systems/image-run";
import { findLivingPath, readMaps, readOpenFiles, readProcess } from "../kit/systems/linux-truth";

type Row = Readonly<Record<string, string>>;

const MIB = 0x100000;
/** Where a PC has the memory of its screen; a core of QEMU lacks it too, pmemsave asks the device. */
const HOLE = 0x20000;
/** Where large memory is compared: from 1 MiB and from 4 GiB on. */
const WINDOWS = [0x100000, 0x100000000].map((address) => ({ address, size: 0x4000000 }));

/** Compares what a shell on an image says with what the guest said of itself. */
async function compareWithGuest(image: string, { run, registers }: ImagedGuest, kit: GuestKit): Promise<void> {
  const { report, truth } = run;
  const args = kit.profile === undefined ? [] : ["--profile", kit.profile];
  const pids = report.list("/proc").map(Number).filter(Number.isInteger);
  const reporter = Number(truth.get("zoo.reported"));
  const isWorker = ({ name }: { name: string }) => name.startsWith("kworker/");
  const users = pids.filter(
    (pid) => pid !== reporter && (report.find(`${findLivingPath(report, pid)}/maps`) ?? "") !== "",
  );
  assert.ok(users.length >= 5);
  const [processes, modules, comm, code, banner, found, ...details] = await lookInto(
    image,
    [
      ...[
        "ps",
        "lsmod",
        "dt task_struct kernel!init_task comm",
        "u kernel!schedule:3",
        "strings kernel!linux_banner:100",
      ],
      's kernel!linux_banner:100:"version"',
      ...users.flatMap((pid) => [`vmmap ${pid}`, `files ${pid}`, `sockets ${pid}`, `threads ${pid}`]),
    ],
    args,
  );
  const expected = pids.map((pid) => readProcess(report, pid)).filter((one) => !isWorker(one));
  const actual = (processes as { pid: number; ppid: number; name: string }[]).filter((one) => !isWorker(one));
  assert.deepEqual(
    actual.map(({ pid, ppid, name }) => `${pid} ${ppid} ${name}`).sort(),
    expected.map(({ pid, ppid, name }) => `${pid} ${ppid} ${name}`).sort(),
  );
  const lines = report.lines("/proc/modules").map((line) => line.split(" "));
  assert.deepEqual(
    (modules as Row[]).slice(1).map(({ name, size, base }) => [name, Number(size), BigInt(base!)]),
    lines.map(([name, size, , , , base]) => [name, Number(size), BigInt(base!)]),
  );
  assert.deepEqual(comm, [{ path: "comm", value: '"swapper/0"' }]);
  assert.equal((code as Row[])[0]!.symbol, "kernel!schedule");
  assert.ok((banner as Row[])[0]!.text!.startsWith(`Linux version ${truth.get("kernel")}`));
  assert.equal((found as Row[]).length, 1);
  compareDetails(report, users, details);
  if (!image.includes("elf")) {
    await assert.rejects(lookInto(image, ["print_cpu"], args), /this image holds memory alone, no registers/);
    return;
  }
  const shown = await lookInto(
    image,
    registers.map((_, index) => `print_cpu ${index}`),
    args,
  );
  registers.forEach((live, index) => checkRegisters(shown[index] as Row, live));
}

/** Memory maps, open files, sockets and threads of the processes with a program. */
function compareDetails(report: GuestReport, users: readonly number[], details: readonly unknown[]): void {
  const sockets = new Set<string>();
  users.forEach((pid, index) => {
    const [maps, files, own, threads] = details.slice(index * 4, index * 4 + 4) as Row[][];
    assert.deepEqual(
      maps!.map(({ start, end, permissions, offset, path }) =>
        [`${start!.slice(2)}-${end!.slice(2)}`, permissions, BigInt(offset!), path].join(" "),
      ),
      readMaps(report, pid),
      `process ${pid}`,
    );
    assert.deepEqual(
      files!.map(({ fd, path, position, flags }) =>
        [fd, path, position, (parseInt(flags!, 8) & ~0o2000000).toString(8)].join(" "),
      ),
      readOpenFiles(report, pid),
      `process ${pid}`,
    );
    assert.deepEqual(threads!.map(({ tid, name }) => `${tid} ${name}`).sort(), readProcess(report, pid).threads);
    // /proc/PID/fd names a socket by its inode.
    const inodes = readOpenFiles(report, pid).flatMap((line) => /socket:\[(\d+)\]/.exec(line)?.[1] ?? []);
    assert.deepEqual(new Set(own!.map(({ inode }) => inode)), new Set(inodes), `process ${pid}`);
    for (const inode of inodes) sockets.add(inode);
  });
  assert.ok(sockets.size >= 4, [...sockets].join());
}

function checkRegisters(shown: Row, live: Row): void {
  const names = Object.keys(shown).filter((name) => name !== "symbol");
  assert.ok(names.length >= 50, names.join());
  for (const name of names) assert.equal(BigInt(shown[name]!), BigInt(live[name]!), name);
}

interface Variant extends ImagedMachine {
  readonly name: string;
  /** Of the machine's memory, in MiB. */
  readonly sizeMib: number;
}

const ALL = {
  "own.elf": {},
  "own.lime": { format: "lime" },
  "own.raw": { format: "raw" },
  "own.elf.zst": { isCompressed: true },
};
const newer = listKits().find(({ release }) => release.startsWith("6.12."));
const narrow = listKits().find(({ architecture }) => architecture === "i386");

const VARIANTS: readonly Variant[] = [
  {
    ...{ name: "Debian's 6.1", kit: defaultKit(), sizeMib: 256, files: ALL },
    monitorLines: ['dump-guest-memory "@/qemu.elf"', 'pmemsave 0 0x10000000 "@/qemu.raw"'],
  },
  ...(newer === undefined
    ? []
    : [
        {
          ...{ name: "Debian's 6.12, with isolated page tables", kit: newer, sizeMib: 512, kernelArgs: "pti=on" },
          files: { "own.elf": {}, "own.lime.zst": { format: "lime", isCompressed: true } },
          ...{ qemuArgs: ["-m", "512"], monitorLines: ['dump-guest-memory "@/qemu.elf"'] },
        },
      ]),
  ...(narrow === undefined
    ? []
    : [
        {
          ...{ name: "a kernel of 32 bits", kit: narrow, sizeMib: 256, files: ALL },
          monitorLines: ['dump-guest-memory "@/qemu.elf"', 'pmemsave 0 0x10000000 "@/qemu.raw"'],
        },
      ]),
  {
    ...{ name: "6 GiB, two vCPUs and page tables of five levels", kit: defaultKit(), sizeMib: 6144 },
    files: { "own.elf": {}, "own.lime": { format: "lime" }, "own.raw": { format: "raw" } },
    qemuArgs: ["-m", "6144", "-smp", "2", "-cpu", "max"],
    monitorLines: ['pmemsave 0x100000000 0x4000000 "@/qemu.high"', 'pmemsave 0x100000 0x4000000 "@/qemu.low"'],
  },
];

for (const { name, sizeMib, ...machine } of VARIANTS) {
  test(`${name}: an image in each format holds what QEMU's own dump does, and a shell on it says what the guest says`, async (t) => {
    await withImages(machine, async (guest) => {
      const { folder, states } = guest;
      const at = (file: string) => join(folder, file);
      const names = Object.keys(machine.files);
      const made = [...names, ...machine.monitorLines.map((line) => line.split(/@\/|"/)[2]!)];
      assert.deepEqual(new Set(states), new Set(["paused"]));
      const readParts = (file: string) => {
        if (file.endsWith("elf")) return readElfParts(at(file));
        if (file.endsWith("lime")) return readLimeParts(at(file));
        const address = { "qemu.high": 0x100000000, "qemu.low": 0x100000 }[file] ?? 0;
        return [{ address, offset: 0, size: statSync(at(file)).size }];
      };
      const own = { file: at("own.elf"), parts: readParts("own.elf") };
      await t.test("each format has the same memory as the others and as QEMU's files", () => {
        const memory = own.parts.reduce((sum, { size }) => sum + size, 0);
        assert.equal(memory, sizeMib * MIB - HOLE);
        for (const file of made.filter((one) => one !== "own.elf" && !one.endsWith(".zst"))) {
          const windows = memory < 1024 * MIB ? undefined : WINDOWS;
          const { compared, difference } = compareParts(own, { file: at(file), parts: readParts(file) }, windows);
          assert.equal(difference, undefined, `${file} at 0x${difference?.toString(16)}`);
          const isPart = file === "qemu.high" || file === "qemu.low";
          assert.equal(compared, isPart ? 0x4000000 : windows ? 0x8000000 : memory, file);
        }
      });
      await t.test("what is zero takes no room on the disk", () => {
        assert.ok(statSync(at("own.elf")).blocks * 512 < Math.min(sizeMib, 1024) * MIB, "own.elf");
        for (const file of names) assert.equal(statSync(at(file)).mode & 0o777, 0o600);
      });
      const images = made.filter((file) => file !== "qemu.high" && file !== "qemu.low");
      for (const file of images) {
        await t.test(`a shell on ${file}`, () => compareWithGuest(at(file), guest, machine.kit));
      }
    });
  });
}
