import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Engine } from "../../machine/engine/engine";
import { DiskError } from "./disk-error";
import { NbdConnection } from "./nbd-connection";

/** A disk of the machine. */
export interface MachineDisk {
  /** QEMU's name for its content: the top of a chain of overlays. */
  readonly node: string;
  /** What the machine calls it: "virtio0", or the path of its device. */
  readonly name: string;
  readonly sizeBytes: number;
}

/** Of QMP's BlockInfo. */
interface BlockInfo {
  readonly device: string;
  readonly qdev?: string;
  readonly inserted?: { readonly "node-name"?: string; readonly image: { readonly "virtual-size": number } };
}

/** Lists the disks of the machine that have a medium. */
export async function listMachineDisks(engine: Engine): Promise<MachineDisk[]> {
  const blocks = (await engine.qmp("query-block")) as BlockInfo[];
  return blocks.flatMap(({ device, qdev, inserted }) => {
    const node = inserted?.["node-name"];
    if (inserted === undefined || node === undefined) return [];
    return [{ node, name: device || qdev || node, sizeBytes: inserted.image["virtual-size"] }];
  });
}

let servers = 0;
let folder: string | undefined;
let starting: Promise<string> | undefined;
let exportCount = 0;

/**
 * Opens a disk of the machine, read only, by QEMU's own NBD server: the guest goes on using it, and whatever format and overlay it
 * has, what is read is what the guest would read.
 *
 * @returns the disk, and what gives it back
 * @throws DiskError when QEMU does not offer it: somebody else's NBD server may run
 */
export async function openMachineDisk(
  engine: Engine,
  disk: MachineDisk,
): Promise<{ readonly source: NbdConnection; readonly close: () => Promise<void> }> {
  const socket = await startServer(engine);
  const id = `rebox-${process.pid}-${++exportCount}`;
  let source: NbdConnection | undefined;
  const close = async (): Promise<void> => {
    source?.close();
    // A machine that has ended has no exports.
    await engine.qmp("block-export-del", { id, mode: "hard" }).catch(() => undefined);
    await stopServer(engine);
  };
  try {
    const options = { type: "nbd", id, name: id, "node-name": disk.node, writable: false };
    await engine.qmp("block-export-add", options);
    source = await NbdConnection.open(socket, id);
    return { source, close };
  } catch (error) {
    await close();
    throw new DiskError(`the disk ${disk.name} cannot be read: ${(error as Error).message}`);
  }
}

/** The server is QEMU's only one: all disks share it, and it is there as long as one of them is open. */
async function startServer(engine: Engine): Promise<string> {
  servers++;
  starting ??= (async () => {
    // Only this user may look into the guest's disks.
    folder = mkdtempSync(join(tmpdir(), "rebox-disks-"));
    const path = join(folder, "nbd.sock");
    await engine.qmp("nbd-server-start", { addr: { type: "unix", data: { path } }, "max-connections": 0 });
    return path;
  })();
  try {
    return await starting;
  } catch (error) {
    await stopServer(engine, false);
    throw new DiskError(
      `QEMU's NBD server, which disks are read by, does not start: ${(error as Error).message}; ` +
        "when one was started by hand, end it with nbd-server-stop",
    );
  }
}

async function stopServer(engine: Engine, isStarted = true): Promise<void> {
  if (--servers > 0) return;
  const used = folder;
  folder = undefined;
  starting = undefined;
  if (isStarted) await engine.qmp("nbd-server-stop").catch(() => undefined);
  if (used !== undefined) rmSync(used, { recursive: true, force: true });
}
