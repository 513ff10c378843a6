import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Engine } from "../../machine/engine/engine";
import { getImageNode } from "../../machine/recording/recorded-drives";
import { DiskError } from "../errors";
import { NbdConnection } from "./nbd-connection";

/** A disk of the machine. */
export interface MachineDisk {
  /** QEMU's name for its content: the top of a chain of overlays. */
  readonly node: string;
  /** The machine's name for it: "virtio0", or the path of its device. */
  readonly name: string;
  readonly sizeBytes: number;
}

/** Of QMP's BlockInfo. */
interface BlockInfo {
  readonly device: string;
  readonly qdev?: string;
  readonly inserted?: {
    readonly "node-name"?: string;
    readonly drv: string;
    readonly image: { readonly "virtual-size": number };
  };
}

/** Lists the disks of the machine that have a medium. */
export async function listMachineDisks(engine: Engine): Promise<MachineDisk[]> {
  const blocks = (await engine.qmp("query-block")) as BlockInfo[];
  return blocks.flatMap(({ device, qdev, inserted }) => {
    const node = inserted?.["node-name"];
    if (inserted === undefined || node === undefined) return [];
    // What orders the operations of a recorded disk would wait for ours to come in the recording.
    const content = inserted.drv === "blkreplay" ? getImageNode(node) : node;
    return [{ node: content, name: device || qdev || node, sizeBytes: inserted.image["virtual-size"] }];
  });
}

/** QEMU's only NBD server: all disks that are open share it, and it runs as long as one of them is. */
class DiskServer {
  #users = 0;
  #folder: string | undefined;
  #starting: Promise<string> | undefined;
  #exports = 0;

  /** Makes a name for an export that no other has. */
  nameExport(): string {
    return `rebox-${process.pid}-${++this.#exports}`;
  }

  /** Starts the server when it does not run yet. @returns the path of its socket */
  async acquire(engine: Engine): Promise<string> {
    this.#users++;
    this.#starting ??= this.#start(engine);
    try {
      return await this.#starting;
    } catch (error) {
      await this.release(engine, false);
      throw new DiskError(
        `QEMU's NBD server, which disks are read by, does not start: ${(error as Error).message}; ` +
          "when one was started by hand, end it with nbd-server-stop",
      );
    }
  }

  /** Stops the server when nobody uses it any more. */
  async release(engine: Engine, isStarted = true): Promise<void> {
    if (--this.#users > 0) return;
    const used = this.#folder;
    this.#folder = undefined;
    this.#starting = undefined;
    if (isStarted) await engine.qmp("nbd-server-stop").catch(() => undefined);
    if (used !== undefined) rmSync(used, { recursive: true, force: true });
  }

  async #start(engine: Engine): Promise<string> {
    // Only this user may look into the guest's disks.
    this.#folder = mkdtempSync(join(tmpdir(), "rebox-disks-"));
    const path = join(this.#folder, "nbd.sock");
    await engine.qmp("nbd-server-start", { addr: { type: "unix", data: { path } }, "max-connections": 0 });
    return path;
  }
}

const server = new DiskServer();

/**
 * Opens a disk of the machine, read only, by QEMU's own NBD server: the guest continues to use it, and whatever format and overlay
 * it has, the bytes are those that the guest would read.
 *
 * @returns the disk, and the function that gives it back
 * @throws DiskError when QEMU does not offer it: another NBD server may run
 */
export async function openMachineDisk(
  engine: Engine,
  disk: MachineDisk,
): Promise<{ readonly source: NbdConnection; readonly close: () => Promise<void> }> {
  const socket = await server.acquire(engine);
  const id = server.nameExport();
  let source: NbdConnection | undefined;
  const close = async (): Promise<void> => {
    source?.close();
    // A machine that has ended has no exports.
    await engine.qmp("block-export-del", { id, mode: "hard" }).catch(() => undefined);
    await server.release(engine);
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
