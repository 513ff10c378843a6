/** Notes memory that several processes share, as it comes to another one; for injections. */
import { findGuest, type FunctionCall, type Mapping, readVa } from "rebox";
import type { Injection, InjectionProcess } from "./_injection_watcher";

/** include/uapi/linux/mman.h, include/uapi/asm-generic/mman-common.h */
const MAP_SHARED = 1n;
const MAP_ANONYMOUS = 0x20n;
const PAGE = 4096n;
/** What is kept of the memory when it is shared, in bytes. */
const MOST_BYTES = 1 << 20;
/** Files that are remembered. */
const MOST_FILES = 10_000;

type SharedFacts = Pick<Injection, "by" | "target" | "address" | "bytes" | "size" | "path" | "rights">;

interface Sharer {
  readonly process: InjectionProcess;
  readonly pgd: bigint;
  readonly start: bigint;
  readonly canWrite: boolean;
}

/** Watches mmap(2) of files and of shared memory, which is a file too. */
export class SharedMappings {
  /** By the file's inode: who has it. */
  readonly #files = new Map<string, Sharer[]>();

  constructor(private readonly onShared: (facts: SharedFacts) => void) {}

  /** Notes a call of ksys_mmap_pgoff(addr, len, prot, flags, fd, pgoff), of mm/mmap.c, that has ended. */
  note(call: FunctionCall): void {
    const flags = call.rawArgs[3] ?? 0n;
    const start = BigInt(call.result as bigint);
    if ((flags & MAP_SHARED) === 0n || (flags & MAP_ANONYMOUS) !== 0n || start % PAGE !== 0n) return;
    const { pid, pgd } = call;
    const process = findGuest()?.findProcess(pid);
    const mapping = process?.memoryMap.find((one) => one.start <= start && start < one.end);
    if (process === undefined || mapping === undefined || mapping.file === 0n) return;
    const key = identify(mapping);
    const known = this.#files.get(key) ?? [];
    const canWrite = mapping.permissions[1] === "w";
    const target = { pid, name: process.name };
    for (const other of known) {
      // Libraries and tables that everybody only reads are shared all the time.
      if (other.process.pid === pid || !(other.canWrite || canWrite) || !isThere(other)) continue;
      const size = Number(mapping.end - mapping.start);
      const bytes = readPresent(other, Math.min(size, MOST_BYTES));
      this.onShared({ by: other.process, target, address: start, bytes, size, path: mapping.path, rights: mapping.permissions }); // prettier-ignore
    }
    if (this.#files.size >= MOST_FILES) this.#files.clear();
    this.#files.set(key, [...known.filter(isThere), { process: target, pgd, start, canWrite }]);
  }
}

function isThere({ process, pgd }: Sharer): boolean {
  return findGuest()?.findProcess(process.pid)?.pgd === pgd;
}

/** Two files may have the same path, and one file several. */
function identify({ file }: Mapping): string {
  const inode = findGuest()!.struct("file", file).f_inode as {
    readonly i_ino: bigint;
    readonly i_sb: { readonly s_dev: number };
  };
  return `${inode.i_sb.s_dev} ${inode.i_ino}`;
}

/** Reads what a process has of it in memory; zeros for pages that it has not touched. */
function readPresent({ pgd, start }: Sharer, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += Number(PAGE)) {
    try {
      bytes.set(readVa(pgd, start + BigInt(at), Math.min(Number(PAGE), size - at)), at);
    } catch {
      // Not in memory.
    }
  }
  return bytes;
}
