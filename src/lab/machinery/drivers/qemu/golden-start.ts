import { existsSync, statfsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { GoldenStateError, MachineryError } from "../../../errors";
import type { GoldenFiles } from "../../golden/golden-state";
import { runProgram } from "../../processes/run-program";
import { quoteForShell } from "./memory-snapshot";
import { escapeOption } from "./start-arguments";

/** The name of the RAM among QEMU's objects. */
const RAM = "rebox-ram";
/** Beside RAM: what the disk's overlay, the devices and the manifest may take, in bytes. */
const SLACK = 256 << 20;
const RESERVE_LIMIT_MS = 120_000;
/** Writing or reading the devices' state, a few hundred kilobytes. */
const MIGRATION_LIMIT_MS = 60_000;
const POLL_MS = 10;

/** Executes a QMP command. */
export type Execute = (command: string, args?: object) => Promise<unknown>;

const UNITS: Readonly<Record<string, bigint>> = {
  "": 1n << 20n,
  b: 1n,
  k: 1n << 10n,
  m: 1n << 20n,
  g: 1n << 30n,
  t: 1n << 40n,
};

/**
 * Reads how much RAM QEMU's arguments give to a machine.
 *
 * @returns its size in bytes; QEMU's own default is 128 MiB
 * @throws MachineryError for memory that is plugged in, or laid out otherwise
 */
export function getRamSize(args: readonly string[]): bigint {
  const layout = args.find((arg) => /memory-backend|memdev=|,maxmem=|(^|,)slots=/.test(arg));
  if (layout !== undefined) {
    throw new MachineryError(`golden states need RAM in one piece; this argument lays it out otherwise: ${layout}`);
  }
  // The last one counts, as in QEMU.
  const at = args.findLastIndex((arg) => /^--?m$/.test(arg));
  const text = at === -1 ? "128M" : (args[at + 1] ?? "");
  const [, number, unit] = /^(?:size=)?(\d+)([bkmgt]?)$/i.exec(text) ?? [];
  if (number === undefined) throw new MachineryError(`the RAM's size is not understood: -m ${text}`);
  return BigInt(number) * UNITS[unit!.toLowerCase()]!;
}

/** Returns the arguments for RAM that lies in a file: shared while a state is made, private to the run when one is used. */
export function getRamArguments(files: GoldenFiles, size: bigint, isShared: boolean): string[] {
  const share = isShared ? "on" : "off";
  return [
    ...["-object", `memory-backend-file,id=${RAM},size=${size},mem-path=${escapeOption(files.ram)},share=${share}`],
    ...["-machine", `memory-backend=${RAM}`],
  ];
}

/**
 * Returns the arguments by which every machine with golden states differs from one without: a guest learns that it is a clone.
 *
 * @param number of the clone; "auto": a new one
 */
export function getCloneDevices(args: readonly string[], number = "auto"): string[] {
  return args.some((arg) => /^vmgenid\b/.test(arg)) ? [] : ["-device", `vmgenid,guid=${number}`];
}

/** The arguments of a QEMU that is told by thaw() where to continue. */
export const THAW_ARGUMENTS = ["-incoming", "defer"];

/**
 * Has a machine that was started with THAW_ARGUMENTS continue where a state was frozen.
 *
 * @param devices the file with the state of its processors and devices
 * @throws GoldenStateError
 */
export async function thaw(execute: Execute, devices: string, signal: AbortSignal): Promise<void> {
  await setRamIgnored(execute, true);
  await execute("migrate-incoming", { uri: `exec:cat ${quoteForShell(devices)}` });
  await waitForMigration(execute, "thaw", signal);
  // A snapshot of the machine (savevm) is to have its RAM, also while the file is shared: when a state is made from another one.
  await setRamIgnored(execute, false);
}

/** Says whether QEMU leaves RAM out of a state that it writes or reads, as it lies in a file already. */
async function setRamIgnored(execute: Execute, isIgnored: boolean): Promise<void> {
  await execute("migrate-set-capabilities", { capabilities: [{ capability: "x-ignore-shared", state: isIgnored }] });
}

async function waitForMigration(execute: Execute, what: "freeze" | "thaw", signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + MIGRATION_LIMIT_MS;
  for (;;) {
    signal.throwIfAborted();
    const answer = (await execute("query-migrate")) as { readonly status?: string; readonly "error-desc"?: string };
    if (answer.status === "completed") return;
    if (answer.status === "failed" || answer.status === "cancelled") {
      throw new GoldenStateError(`QEMU cannot ${what} the machine: ${answer["error-desc"] ?? answer.status}`);
    }
    if (performance.now() > endMs) {
      throw new GoldenStateError(`QEMU does not ${what} the machine within ${MIGRATION_LIMIT_MS / 1000} s`);
    }
    await sleep(POLL_MS);
  }
}

/**
 * Makes the file for the RAM, with all its blocks on the disk: a guest's write to a full disk would kill QEMU.
 *
 * @throws MachineryError when there is not enough space
 */
export async function reserveRam(files: GoldenFiles, size: bigint, signal: AbortSignal): Promise<void> {
  const { bavail, bsize } = statfsSync(files.folder, { bigint: true });
  const free = bavail * bsize;
  if (free < size + BigInt(SLACK)) {
    const [needed, there] = [size + BigInt(SLACK), free].map((bytes) => `${bytes >> 20n} MiB`);
    throw new MachineryError(`${files.folder} has ${there} of free space; a golden state needs ${needed}`);
  }
  const options = { signal, timeoutMs: RESERVE_LIMIT_MS, packageName: "util-linux" };
  await runProgram("fallocate", ["--length", String(size), files.ram], options);
}

/**
 * Writes the state of processors and devices of a machine whose RAM lies in a file; the machine is paused from then on.
 *
 * @throws GoldenStateError when QEMU cannot write the state, with its reason
 */
export async function freeze(execute: Execute, files: GoldenFiles, signal: AbortSignal): Promise<void> {
  // The machine is not paused before: it would be when it is thawed.
  await setRamIgnored(execute, true);
  await execute("migrate", { uri: `exec:cat > ${quoteForShell(files.devices)}` });
  await waitForMigration(execute, "freeze", signal);
  // QEMU reports success when the program behind exec: has taken all; what that could not write shows here.
  if (!existsSync(files.devices))
    throw new GoldenStateError(`QEMU has frozen the machine, but not into ${files.devices}`);
}

/** Gives the disk's blocks back that hold only zeros: RAM that the guest has never used. */
export async function punchHoles(files: GoldenFiles, signal: AbortSignal): Promise<void> {
  const options = { signal, timeoutMs: RESERVE_LIMIT_MS, packageName: "util-linux" };
  await runProgram("fallocate", ["--dig-holes", files.ram], options);
}
