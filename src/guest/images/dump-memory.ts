import { closeSync, linkSync, lstatSync, openSync, renameSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { Engine } from "../../machine/engine/engine";
import type { Subscription } from "../../machine/engine/listeners";
import { getCpus } from "../../machine/state/cpu";
import { withGuestPaused } from "../../machine/state/guest-pause";
import { findStillMachine } from "../../machine/state/machine-access";
import { ImageError } from "../../systems/errors";
import { IMAGE_FORMATS, type ImageFormat } from "../../systems/memory/images/image-layout";
import { type ImagePlan, planImage } from "../../systems/memory/images/image-plan";
import type { SavedCpu } from "../../systems/memory/images/saved-cpu";
import { findVmcoreinfo } from "../../systems/linux/system/vmcoreinfo";
import { findGuest } from "../guest";
import { FileJob } from "./file-job";
import { describeSystemError, isCancelled } from "./system-error";

/** The way in which an image is made. */
export interface DumpMemoryOptions {
  /** "elf" by default: with the vCPUs' registers. */
  readonly format?: ImageFormat;
  /** Compresses it by zstd. */
  readonly isCompressed?: boolean;
  /** Replaces a file that is there. */
  readonly replaces?: boolean;
  /** Lets the guest run in the meantime: memory that it changes is in the image as it was found. */
  readonly isLive?: boolean;
  /** Called now and then with the number of bytes of memory that are done. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** An image that was made. */
export interface MemoryDump {
  readonly path: string;
  readonly format: ImageFormat;
  /** Of memory, in bytes. */
  readonly memorySize: number;
  /** Of the file, in bytes, holes included. */
  readonly fileSize: number;
}

const ONE_MIB = 0x100000;

/**
 * Writes the machine's memory into a file, which only its owner may read. The guest is paused for it and then continues as
 * before. The file is there under its name when it is whole, or not at all.
 *
 * @throws ImageError when the file exists, cannot be written, or the dump was stopped
 * @throws EngineUsageError when there is no machine
 */
export async function dumpMemory(path: string, options: DumpMemoryOptions = {}): Promise<MemoryDump> {
  const { format = "elf", isLive = false, replaces = false } = options;
  if (!IMAGE_FORMATS.includes(format)) {
    throw new RangeError(`format is ${String(format)}: one of ${IMAGE_FORMATS.join(", ")}`);
  }
  const image = findStillMachine();
  if (image) throw new ImageError(`${image.path} is an image already: copy the file`);
  const engine = Engine.get();
  const file = resolve(path);
  try {
    checkTarget(file, replaces);
    return await withPartialFile(file, replaces, async (fd) => {
      const write = (): Promise<MemoryDump> => writeDump(engine, fd, file, options);
      return isLive ? write() : withGuestPaused(engine, write);
    });
  } catch (error) {
    if (error instanceof ImageError) throw new ImageError(`${file}: ${error.message}`);
    if (isCancelled(error)) throw new ImageError(`${file}: the dump was stopped; no file was left`);
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new ImageError(`${file}: ${describeSystemError(error)}; no file was left`);
  }
}

function checkTarget(file: string, replaces: boolean): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isFile()) throw new ImageError("there is something else than a file: choose another name");
  if (!replaces) throw new ImageError("the file exists: choose another name, or have it replaced (--force)");
}

/** Gives a file beside the wanted one to be written, and the wanted name when it is whole. */
async function withPartialFile<Result>(
  file: string,
  replaces: boolean,
  write: (fd: number) => Promise<Result>,
): Promise<Result> {
  const partial = `${file}.partial-${process.pid}-${Date.now().toString(36)}`;
  const remove = (): void => rmSync(partial, { force: true });
  const fd = openSync(partial, "wx", 0o600);
  let isOpen = true;
  // A machine that ends takes the process with it.
  process.once("exit", remove);
  try {
    const result = await write(fd);
    isOpen = false;
    // Some file systems tell only now that there was no room.
    closeSync(fd);
    if (replaces) renameSync(partial, file);
    else claimName(partial, file);
    return result;
  } finally {
    if (isOpen) closeSync(fd);
    remove();
    process.off("exit", remove);
  }
}

/** Unlike a renamed file, a linked one replaces nothing that has come in the meantime. */
function claimName(partial: string, file: string): void {
  try {
    linkSync(partial, file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST") throw new ImageError("a file of this name has come meanwhile: choose another name");
    // There are file systems without links.
    if (code !== "EPERM" && code !== "EOPNOTSUPP" && code !== "ENOTSUP") throw error;
    checkTarget(file, false);
    renameSync(partial, file);
  }
}

async function writeDump(
  engine: Engine,
  fd: number,
  path: string,
  { format = "elf", isCompressed = false, isLive = false, signal, onProgress }: DumpMemoryOptions,
): Promise<MemoryDump> {
  const plan = planDump(engine, format);
  const stop = new AbortController();
  let reason: string | undefined;
  const stopFor = (why: string) => () => {
    reason ??= why;
    stop.abort();
  };
  const subscriptions: Subscription[] = [
    engine.on("shutdown", stopFor("the machine has ended")),
    engine.on("crashed", stopFor("the machine has crashed")),
  ];
  if (!isLive) subscriptions.push(engine.on("running", stopFor("somebody has continued the guest meanwhile")));
  if (engine.state === "shutdown" || engine.state === "crashed") stopFor("the machine has ended")();
  const signals = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const job = new FileJob(signals, (done) => {
    // Headers are counted too.
    onProgress?.(Math.min(done, plan.memorySize), plan.memorySize);
  });
  try {
    const { native } = engine;
    const fileSize = await job.run((control) => native.writeImage(fd, plan.pieces, plan.size, isCompressed, control));
    if (reason !== undefined) throw new ImageError(`${reason}: no file was left`);
    return { path, format, memorySize: plan.memorySize, fileSize };
  } catch (error) {
    if (isCancelled(error) && reason !== undefined) throw new ImageError(`${reason}: no file was left`);
    throw error;
  } finally {
    for (const subscription of subscriptions) subscription.dispose();
  }
}

/** The machine's memory, and what firmware has put over it in the first MiB; not that of devices. */
function planDump(engine: Engine, format: ImageFormat): ImagePlan {
  const regions = engine.native
    .ramRegions()
    .filter(({ isMain, readOnly, address }) => isMain || (readOnly && address < ONE_MIB))
    .map(({ address, buffer }) => ({ address: Number(address), bytes: new Uint8Array(buffer) }));
  const guest = findGuest();
  return planImage(format, regions, saveCpus(engine), guest && findVmcoreinfo(guest.kernel));
}

function saveCpus(engine: Engine): SavedCpu[] {
  const names = engine.native.registers().map(({ name }) => name);
  return getCpus().map((cpu) => {
    const values = cpu as unknown as Readonly<Record<string, bigint>>;
    const registers = new Map(names.map((name) => [name, values[name] ?? 0n]));
    return { index: cpu.index, registers, isLong: (cpu.EFER & 0x400n) !== 0n };
  });
}
