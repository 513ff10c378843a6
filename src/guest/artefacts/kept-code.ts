import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { CodeRegion } from "./code-layers";
import { writeProcessCore } from "./process-core";

/** The bounds of code that is kept. */
export interface CodeLimits {
  /** Of regions whose code is kept, each with a core of its process. */
  readonly mostCode: number;
  /** Of memory in one region, and in one core. */
  readonly mostCodeBytes: number;
  /** Of memory in all. */
  readonly mostAllCodeBytes: number;
}

/** The files of code that was written at run time. */
export interface KeptCode {
  /** The region's bytes, the first one at its address; pages that are not in RAM are zeros. Undefined when it was left out. */
  readonly raw?: string;
  /** The process at the moment at which the code is executed. Undefined when it was left out. */
  readonly core?: string;
  /** Why something was left out. */
  readonly left?: string;
}

/** Writes code that is about to be executed: the region as it is, and the memory of its process as an ELF core. */
export class CodeFiles {
  #count = 0;
  #bytes = 0;

  /** @param folder absolute; it is made when something is written */
  constructor(
    private readonly folder: string,
    private readonly limits: CodeLimits,
  ) {}

  /** The largest number of pages of a region that is kept, and one more. */
  get mostPages(): number {
    return Math.floor(this.limits.mostCodeBytes / 4096) + 1;
  }

  /** Writes a region and its process. @param task that executes it */
  write(guest: LinuxGuest, region: CodeRegion, pid: number, task: bigint): KeptCode {
    const { mostCode, mostCodeBytes, mostAllCodeBytes } = this.limits;
    if (this.#count >= mostCode) return { left: `the code of ${mostCode} regions is kept already (most_code)` };
    const size = region.pages.size * 4096;
    const most = Math.min(mostCodeBytes, mostAllCodeBytes - this.#bytes);
    if (size > most) return { left: `it has ${size} bytes, more than ${most}` };
    const name = `${String(++this.#count).padStart(4, "0")}-${pid}-layer${region.layer}`;
    const raw = `${name}-0x${region.start.toString(16)}.bin`;
    mkdirSync(this.folder, { recursive: true });
    this.#writeRaw(region, join(this.folder, raw));
    this.#bytes += size;
    try {
      const process = guest.getProcessList().find((one) => one.pid === pid);
      if (process === undefined) return { raw, left: "the process is not in the kernel's list" };
      const core = `${name}.core`;
      const mostBytes = Math.min(mostCodeBytes, mostAllCodeBytes - this.#bytes);
      this.#bytes += writeProcessCore(guest, process, join(this.folder, core), { mostBytes, first: task }).memory;
      return { raw, core };
    } catch (error) {
      return { raw, left: error instanceof Error ? error.message : String(error) };
    }
  }

  #writeRaw({ start, end, pages }: CodeRegion, path: string): void {
    const file = openSync(path, "wx", 0o600);
    try {
      // Pages that are not there are holes.
      ftruncateSync(file, Number(end - start));
      for (const [address, bytes] of pages) {
        const at = Number(address - start);
        for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, at + done);
      }
    } finally {
      closeSync(file);
    }
  }
}
