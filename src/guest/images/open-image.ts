import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmdirSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Engine } from "../../machine/engine/engine";
import { loadAddon } from "../../machine/engine/load-addon";
import type { RamRegion } from "../../systems/memory/guest-source";
import { ImageError } from "../../systems/errors";
import type { FileBytes, ImagePart, ReadFormat } from "../../systems/memory/images/image-layout";
import { readImageLayout } from "../../systems/memory/images/read-image-layout";
import type { RamRange } from "../../systems/memory/ram";
import { findStillMachine, setStillMachine } from "../../machine/state/machine-access";
import { describeSystemError } from "./system-error";
import { FileJob } from "./file-job";
import { ImageMachine } from "./image-machine";

/** The size that an ArrayBuffer may have in every version of V8. */
const LARGEST_REGION = 0x40000000;
/** The number of holes that are looked for in a file; the rest of it is taken for data. */
const MOST_SPANS = 1_000_000;
/** No x86 machine that a compressed image can come from has more: what claims more is made to fill the disk. */
const LARGEST_EXPANDED = 2 ** 40;
const ZSTD_MAGIC = 0xfd2fb528;

/** Reports on an image while it is opened, and a way to stop that. */
export interface OpenImageOptions {
  /** Called now and then with how far the expansion of a compressed file is. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** The facts of an image that was opened. */
export interface OpenedImage {
  readonly path: string;
  readonly format: ReadFormat;
  /** Of physical memory, in bytes. */
  readonly memorySize: number;
  /** The number of vCPUs whose registers the image holds. */
  readonly cpuCount: number;
}

/**
 * Opens a memory image in the place of a running machine: everything that reads the guest reads the image from then on. It is an
 * ELF core (of QEMU, rebox, kdump), a LiME image, a crash dump of Windows or raw memory, each also compressed by zstd. The file must not change
 * as long as it is open. One for each process, and none beside a machine.
 *
 * @throws ImageError when the file cannot be read, is none of these, is damaged or cut off
 */
export async function openImage(path: string, options: OpenImageOptions = {}): Promise<OpenedImage> {
  if (Engine.find() || findStillMachine()) {
    throw new ImageError(`${path}: this process has its machine already; open an image in a process of its own`);
  }
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    if (!fstatSync(fd).isFile()) throw new ImageError("this is no file");
    if (isCompressed(fd)) {
      const compressed = fd;
      fd = undefined;
      fd = await expand(compressed, options).finally(() => closeSync(compressed));
    }
    const opened = useFile(fd, resolve(path));
    // It stays open: other programs read the image through it.
    fd = undefined;
    return opened;
  } catch (error) {
    if (error instanceof ImageError) throw new ImageError(`${path}: ${error.message}`);
    throw new ImageError(`${path}: ${describeSystemError(error)}`);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function isCompressed(fd: number): boolean {
  const start = Buffer.alloc(4);
  return readSync(fd, start, 0, 4, 0) === 4 && start.readUInt32LE(0) === ZSTD_MAGIC;
}

/** Expands into a file without a name: it goes with the process, however that ends. */
async function expand(from: number, { onProgress, signal }: OpenImageOptions): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-image-"));
  const path = join(folder, "image");
  const to = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  rmdirSync(folder);
  const { size } = fstatSync(from);
  const job = new FileJob(signal, (done) => onProgress?.(done, size));
  try {
    await job.run((control) => loadAddon().expandImage(from, to, LARGEST_EXPANDED, control));
    return to;
  } catch (error) {
    closeSync(to);
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EILSEQ")
      throw new ImageError(`the compressed image is damaged or cut off: ${(error as Error).message}`);
    if (code === "EFBIG") throw new ImageError("the compressed image has more memory than any machine: it is none");
    if (code === "ENOSPC") {
      throw new ImageError(
        `there is no room in ${tmpdir()} to expand it: choose another folder by TMPDIR, or expand it by hand, zstd -d --sparse`,
      );
    }
    throw error;
  }
}

function useFile(fd: number, path: string): OpenedImage {
  const { size } = fstatSync(fd);
  const file: FileBytes = {
    size,
    read: (offset, length) => {
      const bytes = Buffer.alloc(length);
      for (let done = 0; done < length;) {
        const part = readSync(fd, bytes, done, length - done, offset + done);
        if (part === 0) throw new ImageError(`it ends at byte ${offset + done}, though it had ${size} bytes`);
        done += part;
      }
      return bytes;
    },
  };
  const { format, parts, cpus, facts } = readImageLayout(file);
  const pieces = parts.flatMap(splitPart);
  const mapped = loadAddon().mapImage(fd, size, pieces);
  if (typeof mapped === "number") throw new ImageError(`it cannot be mapped: ${describeSystemError(mapped)}`);
  const regions: RamRegion[] = pieces.map(({ address }, index) => ({
    address,
    bytes: new Uint8Array(mapped[index] as ArrayBuffer),
  }));
  setStillMachine(new ImageMachine(path, regions, { cpus, facts }, findSpans(fd, parts), { descriptor: fd, parts }));
  const memorySize = parts.reduce((sum, part) => sum + part.size, 0);
  return { path, format, memorySize, cpuCount: cpus.length };
}

function splitPart({ address, offset, size }: ImagePart): ImagePart[] {
  return Array.from({ length: Math.ceil(size / LARGEST_REGION) }, (_, index) => {
    const done = index * LARGEST_REGION;
    return { address: address + done, offset: offset + done, size: Math.min(LARGEST_REGION, size - done) };
  });
}

/** Finds the memory that is not a hole of the file. */
function findSpans(fd: number, parts: readonly ImagePart[]): RamRange[] {
  const native = loadAddon();
  const spans: RamRange[] = [];
  for (const { address, offset, size } of parts) {
    for (let at = offset; at < offset + size;) {
      const data =
        spans.length < MOST_SPANS ? native.findFileData(fd, at, offset + size) : ([at, offset + size] as const);
      if (!data) break;
      const [start, end] = data;
      spans.push({ address: address + start - offset, size: end - start });
      at = end;
    }
  }
  return spans;
}
