import { AddressError } from "../../errors";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { CachedPage, PageCache } from "./page-cache";

const PAGE = 4096;
/** A folio has at most 8192 pages, a page at most 8 buffers. */
const MOST_BUFFERS = 65536;
/** BH_Uptodate (include/linux/buffer_head.h). */
const BUFFER_UPTODATE = 1n;
const LARGEST_BUFFER = 65536;

/** Content of files and disks that the kernel's caches hold: newer than the disk where it has not been written yet. */
export class CachedContent {
  readonly #kernel: LinuxKernel;
  readonly #pages: PageCache;
  readonly #uptodate: bigint;
  readonly #private: bigint;
  readonly #flags: number;

  /** @throws MissingTypeError */
  constructor(kernel: LinuxKernel, pages: PageCache) {
    this.#kernel = kernel;
    this.#pages = pages;
    const flag = (name: string): bigint => 1n << (kernel.types.findEnum("pageflags")?.values.get(name) ?? 63n);
    this.#uptodate = flag("PG_uptodate");
    this.#private = flag("PG_private");
    this.#flags = kernel.offset("page", "flags");
  }

  /**
   * Writes over a piece of a file what memory knows better.
   *
   * @param mapping the address of the file's struct address_space
   * @param offset of the piece in the file, in bytes
   * @param bytes the piece as it is on the disk
   * @returns how many of its bytes are from memory
   */
  overlay(mapping: bigint, offset: number, bytes: Uint8Array): number {
    let known = 0;
    for (let at = Math.floor(offset / PAGE) * PAGE; at < offset + bytes.length; at += PAGE) {
      known += this.#overlayPage(mapping, at, offset, bytes);
    }
    return known;
  }

  #overlayPage(mapping: bigint, at: number, offset: number, bytes: Uint8Array): number {
    try {
      const page = this.#pages.findPage(mapping, BigInt(at / PAGE));
      if (!page) return 0;
      const flags = this.#kernel.memory.pointer(page.folio + BigInt(this.#flags));
      if ((flags & this.#uptodate) !== 0n) {
        const content = this.#kernel.ram.findBytes(Number(page.physical), PAGE);
        return content ? lay(bytes, offset, at, content) : 0;
      }
      return (flags & this.#private) === 0n ? 0 : this.#overlayBuffers(page, at, offset, bytes);
    } catch (error) {
      // What leads there is damaged or just changing: the disk's word stands.
      if (error instanceof AddressError) return 0;
      throw error;
    }
  }

  /** Blocks of a disk are read one by one: the page as a whole is not known then, but some of its buffers are. */
  #overlayBuffers({ folio, firstIndex }: CachedPage, at: number, offset: number, bytes: Uint8Array): number {
    const { memory } = this.#kernel;
    const first = memory.pointer(folio + BigInt(this.#kernel.offset("page", "private")));
    let place = Number(firstIndex) * PAGE;
    let known = 0;
    let buffer = first;
    for (let count = 0; count < MOST_BUFFERS && place < at + PAGE && buffer !== 0n; count++) {
      const head = this.#kernel.at("buffer_head", buffer);
      const size = head.number("b_size");
      if (!(size >= 512 && size <= LARGEST_BUFFER)) break;
      if (place + size > at && (head.value("b_state") & BUFFER_UPTODATE) !== 0n) {
        known += lay(bytes, offset, place, memory.readSome(head.value("b_data"), size));
      }
      place += size;
      buffer = head.value("b_this_page");
      if (buffer === first) break;
    }
    return known;
  }
}

/** Lays a piece that begins at `place` over one that begins at `offset`. @returns how many bytes */
function lay(bytes: Uint8Array, offset: number, place: number, piece: Uint8Array): number {
  const start = Math.max(place, offset);
  const end = Math.min(place + piece.length, offset + bytes.length);
  if (end <= start) return 0;
  bytes.set(piece.subarray(start - place, end - place), start - offset);
  return end - start;
}
