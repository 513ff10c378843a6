import { createHash } from "node:crypto";
import { ReboxError } from "../../config/rebox-error";
import { Engine } from "../../machine/engine/engine";
import { AddressError, KernelDataError } from "../../systems/errors";
import { CachedContent } from "../../systems/linux/files/cached-content";
import { findInode, type InodeFacts, readChangeNs, readInode, readInodeStamp } from "../../systems/linux/files/inode-reader"; // prettier-ignore
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { StructCursor } from "../../systems/structs/struct-cursor";
import { type DiskVolume, listDiskVolumes } from "../disks/disk-volumes";
import { findMounts, isOnVolume, openVolume, type VolumeSession } from "../disks/volume-session";
import { ByteBudget } from "./byte-budget";
import { isInMemoryAlone } from "./file-content";
import { hashCached } from "./hash-cached";
import { type ExecutedProgram, type HashOutcome, type NumberedProgram, ProgramNumbers } from "./program-numbers";

/** So much is hashed at once, and then in each second: a program that changes and is executed without end must not hold the guest. */
const MOST_AT_ONCE = 256 << 20;
const MOST_PER_SECOND = 4 << 20;
/** So much is read from disks and hashed: the guest is not held by it, but its host has other work, and the analysis an end. */
const MOST_FROM_DISKS = 1 << 30;
const MOST_FROM_DISKS_PER_SECOND = 16 << 20;
/** So much is read from a disk at a time, in bytes. */
const DISK_PIECE = 1 << 20;
/** Inodes have times of the kernel's ticks: a file that changed later than this may change again without another time. */
const SETTLED_NS = 100_000_000n;

interface Waiting {
  readonly program: NumberedProgram;
  /** Why it was not hashed out of memory, when it would have been too much. */
  readonly refused: string | undefined;
  readonly superBlock: bigint;
  readonly inode: bigint;
  readonly facts: InodeFacts;
  readonly stamp: string;
}

/**
 * Hashes the files that processes execute, each once: out of the page cache while it is executed, and where that does not have all of
 * it out of the disk later, unless it has changed by then. The guest is not held.
 */
export class ExecutedPrograms {
  readonly #guest: LinuxGuest;
  readonly #cached: CachedContent;
  readonly #numbers: ProgramNumbers;
  readonly #budget: ByteBudget;
  readonly #diskBudget: ByteBudget;
  #waiting: Waiting[] = [];
  #reading: Promise<void> | undefined;

  /**
   * @param mostBytes larger files have no hash
   * @param count the programs that have a number: it may go on over a restart of the guest
   * @param listener called with each program when it is executed first, and again when its hash, or why it has none, is known
   * @throws MissingTypeError
   */
  constructor(
    guest: LinuxGuest,
    private readonly mostBytes: number,
    count: { programs: number },
    listener: (program: ExecutedProgram) => void,
  ) {
    this.#guest = guest;
    this.#numbers = new ProgramNumbers(count, listener);
    this.#cached = new CachedContent(guest.kernel, guest.pageCache);
    this.#budget = new ByteBudget(Math.max(MOST_AT_ONCE, mostBytes), MOST_PER_SECOND);
    this.#diskBudget = new ByteBudget(Math.max(MOST_FROM_DISKS, mostBytes), MOST_FROM_DISKS_PER_SECOND);
  }

  /**
   * Notes a program that is complete and has executed no instruction.
   *
   * @param mm the address of the mm_struct of its process
   * @returns its number; undefined when the kernel's data is damaged, or too many are known
   */
  note(mm: bigint): number | undefined {
    try {
      const file = this.#guest.kernel.at("mm_struct", mm).follow("exe_file");
      const inode = file && this.#findContent(file).follow("f_inode");
      return file && inode && this.#noteFile(file, inode);
    } catch (error) {
      if (error instanceof AddressError || error instanceof KernelDataError) return undefined;
      throw error;
    }
  }

  /** Reads from disks what was not in memory as a whole. @returns when all that has waited is told */
  read(): Promise<void> {
    this.#reading ??= this.#readWaiting().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  /** Tells that what waits can be read no more. */
  giveUp(reason: string): void {
    for (const { program } of this.#waiting.splice(0)) this.#numbers.finish(program, { left: reason });
  }

  /** Finds the open file whose content is executed: of a file of an overlay that behind it, which it keeps in its private data. */
  #findContent(file: StructCursor): StructCursor {
    const { kernel, paths } = this.#guest;
    const kept = file.value("private_data");
    if (kept === 0n || file.follow("f_inode")?.follow("i_sb")?.follow("s_type")?.text(32, "name") !== "overlay") return file; // prettier-ignore
    // Since 6.13 it is the first member of a struct there (fs/overlayfs/file.c: ovl_file).
    const real = [kept, kernel.memory.pointer(kept)].find((place) => place !== 0n && paths.isBacking(place));
    return real === undefined ? file : kernel.at("file", real);
  }

  #noteFile(file: StructCursor, inode: StructCursor): number | undefined {
    const facts = readInode(inode);
    const superBlock = inode.value("i_sb");
    const stamp = readInodeStamp(inode, facts);
    return this.#numbers.note(`${superBlock} ${facts.number} ${stamp}`, () => ({
      path: this.#guest.paths.readFile(file.address),
      size: facts.size,
      isSettled: this.#readNowNs() - readChangeNs(inode) > SETTLED_NS,
      outcome: this.#hashNow(inode, facts, superBlock, stamp),
    }));
  }

  /** Hashes a program out of memory; one that is not there as a whole, or too much for now, waits for its disk to be read. */
  #hashNow(inode: StructCursor, facts: InodeFacts, superBlock: bigint, stamp: string): HashOutcome {
    const { mapping, size } = facts;
    if (size > this.mostBytes) return { left: `it has ${size} bytes, more than ${this.mostBytes} (most_program_bytes)` }; // prettier-ignore
    const areHolesZeros = isInMemoryAlone(inode);
    const overlay = (at: number, piece: Uint8Array): number => this.#cached.overlay(mapping, at, piece);
    const hashed = hashCached(size, overlay, areHolesZeros, this.#budget);
    if (typeof hashed === "object") return hashed;
    const refused = hashed === "refused" ? `more programs were executed than are hashed: ${this.#budget.toString()}` : undefined; // prettier-ignore
    if (refused !== undefined && areHolesZeros) return { refused };
    const wait = (program: NumberedProgram): void => {
      this.#waiting.push({ program, refused, superBlock, inode: facts.number, facts, stamp });
    };
    return { wait };
  }

  /** The guest's time, in nanoseconds since 1970; 0 when its clock cannot be read: then no file counts as settled. */
  #readNowNs(): bigint {
    try {
      return this.#guest.clock.realTimeNs;
    } catch (error) {
      if (error instanceof ReboxError) return 0n;
      throw error;
    }
  }

  async #readWaiting(): Promise<void> {
    const waiting = this.#waiting.splice(0);
    if (waiting.length === 0) return;
    const volumes = await listDiskVolumes(Engine.get(), () => undefined).catch(() => []);
    for (const superBlock of new Set(waiting.map((each) => each.superBlock))) {
      const those = waiting.filter((each) => each.superBlock === superBlock);
      try {
        await this.#readVolume(superBlock, volumes, those);
      } catch (error) {
        for (const { program } of those.filter((each) => each.program.state === "waits"))
          this.#numbers.finish(program, { left: `its disk cannot be read: ${getReason(error)}` });
      }
    }
  }

  async #readVolume(superBlock: bigint, volumes: readonly DiskVolume[], waiting: readonly Waiting[]): Promise<void> {
    const mounted = findMounts().find((one) => one.superBlock === superBlock);
    const volume = mounted && volumes.find((one) => isOnVolume(mounted, one));
    if (mounted === undefined || volume === undefined) {
      const left = "it is not in memory as a whole, and on no disk that is read from outside";
      for (const { program, refused } of waiting)
        this.#numbers.finish(program, { left: refused ?? left }, refused === undefined);
      return;
    }
    const session = await openVolume(Engine.get(), volume, mounted);
    try {
      for (const each of waiting) {
        const { program, facts } = each;
        if (!this.#diskBudget.take(facts.size)) {
          const left = `more programs were executed than are read from disks: ${this.#diskBudget.toString()}`;
          this.#numbers.finish(program, { left }, false);
          continue;
        }
        try {
          this.#numbers.finish(program, await this.#hashOnDisk(session, each));
        } catch (error) {
          this.#numbers.finish(program, { left: `it cannot be read: ${getReason(error)}` });
        }
      }
    } finally {
      await session.close();
    }
  }

  async #hashOnDisk(session: VolumeSession, waiting: Waiting): Promise<Pick<ExecutedProgram, "sha256" | "left">> {
    const { size, modifiedNs } = waiting.facts;
    const tree = await session.openTree(Number(waiting.inode));
    const { handle, facts } = tree.root;
    const hash = createHash("sha256");
    let done = 0;
    while (done < size) {
      const piece = await tree.read({ handle, facts: { ...facts, size } }, done, Math.min(DISK_PIECE, size - done));
      if (piece.length === 0) break;
      hash.update(piece);
      done += piece.length;
    }
    // Of an inode that the kernel has forgotten, the disk has the times.
    const isSame = this.#isInMemoryAs(waiting) ?? (facts.size === size && facts.modifiedNs === modifiedNs);
    return isSame && done === size
      ? { sha256: hash.digest("hex") }
      : { left: "it has changed before it could be read" };
  }

  /** Whether a file is as it was executed; undefined when the kernel does not have its inode in memory. */
  #isInMemoryAs({ superBlock, inode, stamp }: Waiting): boolean | undefined {
    const { kernel } = this.#guest;
    const known = findInode(kernel, superBlock, Number(inode));
    return known && readInodeStamp(kernel.at("inode", known.kaddr), known) === stamp;
  }
}

function getReason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
