import { constants, copyFileSync, existsSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MachineryError } from "../../../errors";
import { runProgram } from "../../processes/run-program";

const LIMIT_MS = 60_000;

export interface DiskTools {
  /** The program. */
  readonly qemuImg: string;
  readonly signal: AbortSignal;
}

/** Makes the disk of one run anew: an overlay over the machine's image, which is only read. */
export async function makeOverlay(base: string, overlay: string, { qemuImg, signal }: DiskTools): Promise<void> {
  rmSync(overlay, { force: true });
  const options = "lazy_refcounts=on,cluster_size=2M";
  const args = ["create", "-q", "-F", "qcow2", "-o", options, "-b", base, "-f", "qcow2", overlay];
  await runProgram(qemuImg, args, { signal, timeoutMs: LIMIT_MS, packageName: "qemu-utils" });
}

/** Copies an image whose internal snapshot is to be loaded: an overlay would not have it, and loading it writes. */
export function copyImage(base: string, copy: string): void {
  rmSync(copy, { force: true });
  copyFileSync(base, copy, constants.COPYFILE_FICLONE);
}

/** Removes the disk of a run. */
export function removeDisk(path: string): void {
  if (existsSync(path)) rmSync(path, { force: true });
}

/** Executes a QMP command. */
type Execute = (command: string, args: object) => Promise<unknown>;

/** A drive in the answer to query-block: BlockInfo of QEMU's qapi/block-core.json. */
interface Drive {
  /** The device's name, or its path among QEMU's objects. */
  readonly qdev?: string;
  readonly removable: boolean;
  /** The medium that is in it. */
  readonly inserted?: { readonly file: string };
}

const CD_TYPES = ["ide-cd", "scsi-cd"];
const NODE = "lab-disc";
/** As makeGuestDisc() names its files. */
const OWN_DISC = /\brebox-[0-9a-f]{16}\.disc$/;

/**
 * Gives a running machine a read-only disc: in its CD drive, which most machines have, else as a virtio drive that is plugged in.
 *
 * @param execute sends a command to the machine's QEMU
 * @param path of the disc
 * @throws MachineryError when the machine takes neither
 */
export async function insertDisc(execute: Execute, path: string): Promise<void> {
  const drives = (await execute("query-block", {})) as readonly Drive[];
  for (const { qdev, removable, inserted } of drives) {
    // Another disc that is in it is the guest's own.
    if (!removable || qdev === undefined || (inserted !== undefined && !OWN_DISC.test(inserted.file))) continue;
    const type = await execute("qom-get", { path: qdev, property: "type" });
    if (!CD_TYPES.includes(String(type))) continue;
    const medium = { filename: path, format: "raw", "read-only-mode": "read-only", force: true };
    await execute("blockdev-change-medium", { id: qdev, ...medium });
    return;
  }
  const file = { driver: "file", filename: path };
  let isAdded = false;
  try {
    await execute("blockdev-add", { driver: "raw", "node-name": NODE, "read-only": true, file });
    isAdded = true;
    await execute("device_add", { driver: "virtio-blk-pci", id: NODE, drive: NODE });
  } catch (error) {
    if (isAdded) await execute("blockdev-del", { "node-name": NODE });
    const reason = error instanceof Error ? error.message : String(error);
    throw new MachineryError(
      `a disc cannot be inserted: the machine has no CD drive, and plugging one in failed: ${reason}`,
    );
  }
}

/** A guest that is asked to give up a drive does so when its kernel answers, in milliseconds. */
const UNPLUG_LIMIT_MS = 30_000;
const POLL_MS = 50;

/**
 * Takes the disc of insertDisc() out again; a drive that was plugged in for it is unplugged.
 *
 * @param execute sends a command to the machine's QEMU
 * @throws MachineryError when the guest keeps the drive
 */
export async function removeDisc(execute: Execute, signal: AbortSignal): Promise<void> {
  const isOurs = ({ qdev }: Drive) => qdev !== undefined && qdev.split("/").includes(NODE);
  const listDrives = async () => (await execute("query-block", {})) as readonly Drive[];
  if (!(await listDrives()).some(isOurs)) {
    for (const { qdev, inserted } of await listDrives()) {
      if (qdev === undefined || inserted === undefined || !OWN_DISC.test(inserted.file)) continue;
      await execute("eject", { id: qdev, force: true });
    }
    return;
  }
  await execute("device_del", { id: NODE });
  const endMs = performance.now() + UNPLUG_LIMIT_MS;
  while ((await listDrives()).some(isOurs)) {
    if (performance.now() > endMs) {
      throw new MachineryError(`the guest does not give its drive ${NODE} back within ${UNPLUG_LIMIT_MS / 1000} s`);
    }
    await sleep(POLL_MS, undefined, { signal });
  }
  await execute("blockdev-del", { "node-name": NODE });
}
