import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { QmpClient } from "../../../src/lab/machinery/drivers/qemu/qmp-client";
import { takeLock } from "../../../src/lab/process-lock";
import { PROJECT, REBOX } from "../project";
import type { GuestKit } from "./guest-kits";

/** Below it lies a folder for each machine that stands ready; a set-up that builds the kit or QEMU anew makes others. */
const FOLDER = join(PROJECT, "build/guest/ready");

const BUILD = process.env.REBOX_BUILD === "asan" ? "asan" : "usual";

/** Booting and freezing, on a busy host, also under the sanitizer; and waiting for another test that does so. */
const LIMIT_MS = 300_000;

const NEVER = new AbortController().signal;

/** Options whose machine is the same in each run: none of them names a file or a socket. */
const SHARED_OPTIONS = new Set(["-smp", "-m", "-cpu", "-nic"]);

/** Options that the guest's state knows nothing of: each clone has its own. */
const OWN_OPTIONS = new Set(["-S", "-no-shutdown", "-debugcon", "-gdb", "-vnc", "-qmp"]);

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
}

/** Splits a machine's further arguments for a clone; undefined where one of them makes it a machine that has to boot. */
export function splitForClone(qemuArgs: readonly string[]): SplitArgs | undefined {
  const [shared, own]: [string[], string[]] = [[], []];
  let to: string[] | undefined;
  for (const word of qemuArgs) {
    if (word.startsWith("-")) to = SHARED_OPTIONS.has(word) ? shared : OWN_OPTIONS.has(word) ? own : undefined;
    else if (to === shared && !isSharedValue(word)) return undefined;
    if (to === undefined) return undefined;
    to.push(word);
  }
  return { shared, own };
}

function isSharedValue(word: string): boolean {
  return !/[/=]|user|tap|socket/.test(word) || /^(model|cores|sockets|threads|cpus|[\w,+-]+)=?[\w,=+-]*$/.test(word);
}

/**
 * Gets a guest that stands ready, and makes it first where no test has needed one like it.
 *
 * @param machine QEMU's arguments of the machine with its kernel, without a console
 */
export async function getReadyGuest(kit: GuestKit, machine: readonly string[]): Promise<ReadyGuest> {
  const folder = join(FOLDER, getKey(kit, machine));
  if (!existsSync(folder)) {
    const giveBack = await takeLock(`${folder}.lock`, {
      timeoutMs: LIMIT_MS,
      owner: "a test that makes a guest ready",
    });
    try {
      if (!existsSync(folder)) await make(folder, machine);
    } finally {
      await giveBack();
    }
  }
  return { serial: readFileSync(join(folder, "serial")), cloneArgs: ["-incoming", `file:${join(folder, "state")}`] };
}

/** Names everything that a state is bound to. */
function getKey(kit: GuestKit, machine: readonly string[]): string {
  const library = realpathSync(join(PROJECT, `build/qemu${BUILD === "asan" ? "-asan" : ""}/libqemu-system-x86_64.so`));
  const hash = createHash("sha256").update(JSON.stringify(machine));
  for (const file of [library, kit.kernel, kit.initramfs]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(JSON.stringify([file, size, mtimeMs]));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Boots the machine until it waits for a task, freezes it, and puts its files in place when all are whole. */
async function make(folder: string, machine: readonly string[]): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true });
  const making = mkdtempSync(`${folder}.making-`);
  // A socket's path has at most 107 bytes.
  const sockets = mkdtempSync(join(tmpdir(), "rebox-test-"));
  const [serial, socket] = [join(making, "serial"), join(sockets, "qmp")];
  const args = [...machine, "-serial", `file:${serial}`, "-qmp", `unix:${socket},server=on,wait=off`];
  const child = spawn(process.execPath, [REBOX, "run", "--", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const exited = once(child, "exit");
  try {
    await waitForGuest(child, serial, () => output);
    const qmp = await QmpClient.connect(socket, LIMIT_MS, NEVER);
    const execute = (command: string, words: object = {}) => qmp.execute(command, words, LIMIT_MS, NEVER);
    // The machine is not paused before: it would be when it is cloned.
    await execute("migrate", { uri: `file:${join(making, "state")}` });
    await waitForState(execute);
    await execute("quit");
    qmp.close();
    await exited;
    renameSync(making, folder);
  } finally {
    child.kill("SIGKILL");
    await exited;
    rmSync(making, { recursive: true, force: true });
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
