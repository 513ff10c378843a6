import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { QmpClient } from "../../../src/lab/machinery/drivers/qemu/qmp-client";
import { REBOX } from "../project";
import type { GuestKit } from "./guest-kits";
import { getReadyFolder } from "./ready-folder";

/** Booting and freezing, on a busy host, also under the sanitizer. */
const LIMIT_MS = 300_000;

const NEVER = new AbortController().signal;

/** Options whose machine is the same in each run: none of them names a file or a socket. */
const SHARED_OPTIONS = new Set(["-smp", "-m", "-cpu", "-nic"]);

/** Options of which the guest's state has nothing yet: each clone has its own. */
const OWN_OPTIONS = new Set(["-S", "-no-shutdown", "-debugcon", "-gdb", "-vnc", "-qmp", "-drive"]);

/** Of the disks of a guest that waits, in whose places clones have theirs, in bytes. */
const DISK_SIZE = 1 << 20;

/** A guest that has booted and waits for its task, to be cloned. */
export interface ReadyGuest {
  /** The bytes that its console has said. */
  readonly serial: Buffer;
  /** QEMU's arguments for a clone, beside the machine's. */
  readonly cloneArgs: readonly string[];
}

/** Further arguments of a machine: what it has in common with others, and what each clone of it has for itself. */
export interface SplitArgs {
  readonly shared: readonly string[];
  readonly own: readonly string[];
  /** How many disks are among its own: the guest that waits has not looked at them yet. */
  readonly disks: number;
}

/** Splits a machine's further arguments for a clone; undefined where one of them makes it a machine that has to boot. */
export function splitForClone(qemuArgs: readonly string[]): SplitArgs | undefined {
  const [shared, own]: [string[], string[]] = [[], []];
  let [option, disks] = ["", 0];
  for (const word of qemuArgs) {
    if (word.startsWith("-")) option = word;
    else if (option === "-drive" && !/\bif=virtio\b/.test(word)) return undefined;
    else if (SHARED_OPTIONS.has(option) && !isSharedValue(word)) return undefined;
    if (word === "-drive") disks++;
    if (SHARED_OPTIONS.has(option)) shared.push(word);
    else if (OWN_OPTIONS.has(option)) own.push(word);
    else return undefined;
  }
  return { shared, own, disks };
}

function isSharedValue(word: string): boolean {
  return !/[/=]|user|tap|socket/.test(word) || /^(model|cores|sockets|threads|cpus|[\w,+-]+)=?[\w,=+-]*$/.test(word);
}

/**
 * Gets a guest that stands ready, and makes it first where no test has needed one like it.
 *
 * @param machine QEMU's arguments of the machine with its kernel, without a console and disks
 * @param disks how many disks a clone has
 */
export async function getReadyGuest(kit: GuestKit, machine: readonly string[], disks: number): Promise<ReadyGuest> {
  const bound = { name: "kit", facts: [machine, disks], files: [kit.kernel, kit.initramfs] };
  const folder = await getReadyFolder(bound, (making) => make(making, machine, disks));
  return { serial: readFileSync(join(folder, "serial")), cloneArgs: ["-incoming", `file:${join(folder, "state")}`] };
}

/** Boots the machine until it waits for a task, and freezes it. */
async function make(folder: string, machine: readonly string[], disks: number): Promise<void> {
  // A socket's path has at most 107 bytes.
  const sockets = mkdtempSync(join(tmpdir(), "rebox-test-"));
  const [serial, socket] = [join(folder, "serial"), join(sockets, "qmp")];
  const args = [...machine, "-serial", `file:${serial}`, "-qmp", `unix:${socket},server=on,wait=off`];
  for (let index = 0; index < disks; index++) {
    const disk = join(folder, `disk-${index}`);
    writeFileSync(disk, Buffer.alloc(DISK_SIZE));
    args.push("-drive", `file=${disk},if=virtio,format=raw`);
  }
  const child = spawn(process.execPath, [REBOX, "run", "--", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const exited = once(child, "exit");
  try {
    await waitForGuest(child, serial, () => output);
    const qmp = await QmpClient.connect(socket, LIMIT_MS, NEVER);
    const execute = (command: string, words: object = {}) => qmp.execute(command, words, LIMIT_MS, NEVER);
    // The machine is not paused before: it would be when it is cloned.
    await execute("migrate", { uri: `file:${join(folder, "state")}` });
    await waitForState(execute);
    await execute("quit");
    qmp.close();
    await exited;
  } finally {
    child.kill("SIGKILL");
    await exited;
    rmSync(sockets, { recursive: true, force: true });
  }
}

async function waitForState(execute: (command: string) => Promise<unknown>): Promise<void> {
  for (;;) {
    const { status, ...rest } = (await execute("query-migrate")) as { readonly status?: string };
    if (status === "completed") return;
    if (status === "failed")
      throw new Error(`the guest that was to stand ready is not frozen: ${JSON.stringify(rest)}`);
    await sleep(20);
  }
}

async function waitForGuest(child: ChildProcess, serial: string, getOutput: () => string): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  const read = () => (existsSync(serial) ? readFileSync(serial, "latin1") : "");
  while (!read().includes("rebox-guest: waits")) {
    if (child.exitCode !== null || performance.now() > endMs) {
      throw new Error(`the guest that was to stand ready does not: ${read()}\n${getOutput()}`);
    }
    await sleep(20);
  }
  // The shell goes from its message to its waiting.
  await sleep(200);
}
