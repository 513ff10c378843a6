import { ReboxError } from "../../../config/rebox-error";
import { readChangeNs } from "../../../systems/linux/files/inode-reader";
import type { LinuxGuest } from "../../../systems/linux/linux-guest";
import type { StructCursor } from "../../../systems/structs/struct-cursor";
import type { TargetScope } from "../target-scope";
import { findFileKey } from "../written-files";

/** Inodes have times of the kernel's ticks, which may be so much behind its clock (HZ is 100 at least), in nanoseconds. */
const TICK_NS = 10_000_000n;
const SECOND_NS = 1_000_000_000n;

/**
 * Tells which executed files are not what the system had before the target began: the scope has opened them for writing, they were
 * changed, renamed or linked since, or their file system was mounted since. The place of such a file says nothing about its content.
 */
export class ChangedPrograms {
  readonly #guest: LinuxGuest;
  readonly #scope: TargetScope;
  /** The addresses of the struct super_block of what was mounted when the target began; undefined after a restart of the guest. */
  readonly #mounted: ReadonlySet<bigint> | undefined;

  /** @param scope whose target has just begun */
  constructor(guest: LinuxGuest, scope: TargetScope) {
    this.#guest = guest;
    this.#scope = scope;
    this.#mounted = this.#listMounted();
  }

  /**
   * Tells whether the file that a process executes is another than before the target began.
   *
   * @param mm the address of the mm_struct of the process
   * @returns false, too, when the kernel's data cannot be read
   */
  isChanged(mm: bigint): boolean {
    try {
      const inode = this.#guest.kernel.at("mm_struct", mm).follow("exe_file")?.follow("f_inode");
      return inode !== undefined && (this.#isWritten(inode) || this.#isTouched(inode) || this.#isMountedSince(inode));
    } catch (error) {
      if (error instanceof ReboxError) return false;
      throw error;
    }
  }

  #isWritten(inode: StructCursor): boolean {
    const key = findFileKey(inode);
    return key !== undefined && this.#scope.writtenFiles?.find(key) !== undefined;
  }

  /** Each change of content, name or rights sets the time of the inode's change, which no program can (inode(7): ctime). */
  #isTouched(inode: StructCursor): boolean {
    const since = this.#scope.writtenFiles?.sinceNs ?? 0n;
    const changed = readChangeNs(inode);
    // A guest whose clock was set back has files that will be changed in its future.
    return since > 0n && changed + TICK_NS >= since && changed <= this.#guest.clock.realTimeNs + SECOND_NS;
  }

  #isMountedSince(inode: StructCursor): boolean {
    return this.#mounted !== undefined && !this.#mounted.has(inode.value("i_sb"));
  }

  #listMounted(): ReadonlySet<bigint> | undefined {
    try {
      const target = this.#guest.getProcessList().find(({ pid }) => this.#scope.findOrigin(pid) === "target");
      if (target === undefined) return undefined;
      const { kernel } = this.#guest;
      return new Set(target.mounts.map(({ kaddr }) => kernel.at("mount", kaddr).value("mnt.mnt_sb")));
    } catch (error) {
      if (error instanceof ReboxError) return undefined;
      throw error;
    }
  }
}
