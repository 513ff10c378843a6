/** Writes modules of processes, and code that was written at run time, into files: for dumper. */
import { appendFileSync, writeFileSync } from "node:fs";
import { findProcess, findSystem, getModuleList, type ProcessMemory, vaToSym } from "rebox";
import { showPlace } from "./_api_calls";
import { makeElfImage } from "./_elf_image";
import { escape, hex } from "./_system_call_arguments";

const PAGE = 4096;
/** Of one piece of written code. */
const MOST_CODE = 64 << 20;

/** The process of Linux that is dumped, and the occasion. */
export interface DumpedProcess {
  readonly pid: number;
  readonly pgd: bigint;
  /** "asked", "call libc.so.6!puts", "exit", "written". */
  readonly occasion: string;
}

/** A line of dumps.jsonl; numbers of 64 bits are texts. */
export interface DumpFacts {
  readonly file: string;
  readonly occasion: string;
  readonly pid: number;
  readonly process: string;
  /** Empty for memory without a file. */
  readonly path: string;
  readonly base: string;
  /** Bytes that are neither in RAM nor in the kernel's cache: zeros in the file. */
  readonly missing: number;
  readonly size: number;
  readonly sections?: readonly string[];
  readonly imports?: readonly { readonly name: string; readonly slot: string; readonly to: string; readonly place: string }[]; // prettier-ignore
  /** Of written code: the first instruction that was executed, and who wrote it. */
  readonly entry?: string;
  readonly writer?: string;
  readonly permissions?: string;
}

/** A process as far as it is needed here: of Linux. */
interface ReadableProcess {
  readonly name: string;
  readonly executable: string;
  readonly memoryMap: readonly { readonly start: bigint; readonly end: bigint; readonly permissions: string; readonly path: string }[]; // prettier-ignore
  readonly threads: readonly { readonly mm: bigint }[];
  readMemory(address: bigint, size: number): ProcessMemory;
}

/** Writes dumps into one folder: each a file of its own, and a line of dumps.jsonl. */
export class ModuleDumper {
  #count = 0;

  /**
   * @param folder is there
   * @param onDump gets a line for each file
   */
  constructor(
    private readonly folder: string,
    private readonly onDump: (text: string, facts: DumpFacts) => void,
  ) {
    writeFileSync(`${folder}/dumps.jsonl`, "");
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Writes modules of a process, as files that tools open: those that are wanted, and those that lie in memory without a file.
   *
   * @param isWanted by name; undefined is its program alone
   * @returns how many; none of a process that is gone
   */
  dumpModules({ pid, pgd, occasion }: DumpedProcess, isWanted: ((name: string) => boolean) | undefined): number {
    const process = findReadable(pgd);
    if (process === undefined) return 0;
    const before = this.#count;
    for (const { base, name, path } of getModuleList(pgd)) {
      if (isWanted === undefined ? path !== process.executable : !isWanted(name)) continue;
      this.#dumpImage(process, { pid, pgd, occasion }, { base, name, path: path || name });
    }
    // A packer has put the program there, or a loader of its own.
    for (const { start, path } of process.memoryMap) {
      if (path === "") this.#dumpImage(process, { pid, pgd, occasion }, { base: start, name: "anonymous", path });
    }
    return this.#count - before;
  }

  /**
   * Writes the memory that written code lies in, as it is.
   *
   * @param entry the first instruction of it that was executed
   */
  dumpCode({ pid, pgd, occasion }: DumpedProcess, entry: bigint, writer: string): void {
    const process = findReadable(pgd);
    const area = process?.memoryMap.find(({ start, end }) => entry >= start && entry < end);
    if (process === undefined || area === undefined) return;
    const { start, end, permissions, path } = area;
    const { bytes, missing } = process.readMemory(start, Math.min(Number(end - start), MOST_CODE));
    this.#write(`${pid}.${start.toString(16)}.bin`, bytes, `${pid} ${process.name}: code at ${hex(entry)}`, {
      ...{ occasion, pid, process: process.name, path, base: hex(start), entry: hex(entry), writer, permissions },
      missing: missing.length * PAGE,
    });
  }

  #dumpImage(
    process: ReadableProcess,
    { pid, pgd, occasion }: DumpedProcess,
    { base, name, path }: { readonly base: bigint; readonly name: string; readonly path: string },
  ): void {
    // prettier-ignore
    const missing = new Set<bigint>();
    const image = makeElfImage(base, (address, size) => {
      const piece = process.readMemory(address, size);
      for (const page of piece.missing) missing.add(page);
      return piece.bytes;
    });
    if (image === undefined) return;
    const place = (to: bigint): string => (to === 0n ? "" : showPlace(vaToSym(pgd, to), to));
    const imports = image.imports.map(({ name: wanted, slot, to }) => ({ name: wanted, slot: hex(slot), to: hex(to), place: place(to) })); // prettier-ignore
    this.#write(
      `${pid}.${toFileName(name)}.elf`,
      image.bytes,
      `${pid} ${process.name}: ${path || "a program in memory"} at ${hex(base)}`,
      {
        // prettier-ignore
        ...{ occasion, pid, process: process.name, path, base: hex(base), missing: missing.size * PAGE },
        ...{ sections: image.sections, imports },
      },
    );
  }

  #write(name: string, bytes: Uint8Array, what: string, facts: Omit<DumpFacts, "file" | "size">): void {
    const file = `${String(++this.#count).padStart(4, "0")}.${name}`;
    writeFileSync(`${this.folder}/${file}`, bytes);
    appendFileSync(`${this.folder}/dumps.jsonl`, `${JSON.stringify({ file, ...facts, size: bytes.length })}\n`);
    this.onDump(`${escape(what)}, ${bytes.length} bytes, ${file}`, { file, ...facts, size: bytes.length });
  }
}

/**
 * Reads which modules are meant.
 *
 * @param names with * and ?
 * @returns undefined for none, which is the program alone
 */
export function readModuleNames(names: readonly string[]): ((name: string) => boolean) | undefined {
  if (names.length === 0) return undefined;
  const patterns = names.map((text) => {
    const pieces = text
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".");
    return new RegExp(`^${pieces}$`, "s");
  });
  return (name) => patterns.some((pattern) => pattern.test(name));
}

/**
 * Returns whether the thread that ends is the last one of its process, whose memory is still there. The kernel's `do_exit()` ends each of
 * them, for exit(2), exit_group(2) and signals.
 */
export function isLastThread(pgd: bigint): boolean {
  const threads = findReadable(pgd)?.threads ?? [];
  return threads.filter(({ mm }) => mm !== 0n).length === 1;
}

function findReadable(pgd: bigint): ReadableProcess | undefined {
  if (findSystem()?.kind !== "linux") return undefined;
  return findProcess(pgd) as unknown as ReadableProcess | undefined;
}

/** A name of the guest's may have anything. */
function toFileName(name: string): string {
  return name.replace(/[^\w.+-]/g, "_").slice(0, 100) || "_";
}
