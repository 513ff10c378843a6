import { AddressError, KernelDataError } from "../../errors";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { StructCursor } from "../../structs/struct-cursor";

/** PATH_MAX bounds what a path may need: names of one byte and a slash each. */
const MOST_NAMES = 2048;
/** For all paths of one list together: many long ones that a guest has made up would take minutes. */
const MOST_STEPS = 500_000;
const LONGEST_NAME = 255;
const LONGEST_PATH = 4096;

/** include/linux/fs.h: what a file behind another one has, FMODE_NOACCOUNT and FMODE_BACKING. */
const NOACCOUNT = 1n << 29n;
/** Bit 25 until 6.13; bit 24 since 6.14, and in stable kernels of before; each has meant something else, too. */
const BACKING = 3n << 24n;

/** Reads the paths of files out of the kernel's directory entries and mounts. */
export class PathReader {
  readonly #kernel: LinuxKernel;
  readonly #mount: number;
  #left = MOST_STEPS;

  /** @throws MissingTypeError */
  constructor(kernel: LinuxKernel) {
    this.#kernel = kernel;
    this.#mount = kernel.offset("mount", "mnt");
  }

  /** Begins a new list of paths: all of one list together are bounded. */
  renew(): this {
    this.#left = MOST_STEPS;
    return this;
  }

  /**
   * Reads the path of an open file as /proc/PID/maps and /proc/PID/fd print it (fs/file_table.c: file_user_path()).
   *
   * @param file the address of its struct file
   * @throws KernelDataError when the entries are damaged
   */
  readFile(file: bigint): string {
    const cursor = this.#kernel.at("file", file);
    if (!this.isBacking(file)) return this.readPath(cursor.member("f_path"));
    return this.readPath(this.#kernel.at("backing_file", file).member("user_path"));
  }

  /**
   * Returns whether a file is the one behind a file of an overlay, which the kernel opens for itself: what is mapped is that.
   * Since 6.7 (commit def3ae83da02) its own path is the one below the overlay, and the one by which it was opened is beside it.
   */
  isBacking(file: bigint): boolean {
    if (this.#kernel.findMember("backing_file", "user_path") === undefined) return false;
    const mode = this.#kernel.at("file", file).value("f_mode");
    if ((mode & NOACCOUNT) === 0n || (mode & BACKING) === 0n) return false;
    try {
      // The bits alone do not say it: of a path, mount and entry are of one file system.
      const path = this.#kernel.at("backing_file", file).member("user_path");
      const superBlock = path.follow("mnt")?.value("mnt_sb") ?? 0n;
      return superBlock !== 0n && path.follow("dentry")?.value("d_sb") === superBlock;
    } catch (error) {
      if (error instanceof AddressError) return false;
      throw error;
    }
  }

  /** Reads the path that a struct path stands for. */
  readPath(path: StructCursor): string {
    try {
      return this.#read(path);
    } catch (error) {
      throw KernelDataError.from(error, "a path", path.address);
    }
  }

  /**
   * Reads the path of a directory entry, as it is seen through a mount.
   *
   * @param dentry the address of the struct dentry
   * @param mount the address of the struct vfsmount
   * @throws KernelDataError when the entries are damaged
   */
  readEntry(dentry: bigint, mount: bigint): string {
    try {
      return this.#join(this.#kernel.at("dentry", dentry), this.#kernel.at("vfsmount", mount)) ?? "";
    } catch (error) {
      throw KernelDataError.from(error, "a directory entry", dentry);
    }
  }

  /**
   * Finds where a struct mount is mounted, as a process sees it.
   *
   * @param root the process' root directory, a struct path
   * @returns undefined when the process cannot reach it: it lies outside of its root
   */
  findMountPoint(mount: StructCursor, root: StructCursor): string | undefined {
    try {
      const place = mount.follow("mnt.mnt_root");
      return place && this.#join(place, mount.member("mnt"), root);
    } catch (error) {
      throw KernelDataError.from(error, "a mount", mount.address);
    }
  }

  #read(path: StructCursor): string {
    const dentry = path.follow("dentry");
    const mount = path.follow("mnt");
    if (!dentry || !mount) return "";
    // fs/d_path.c: d_path(). What has no place in a tree of directories makes up its name.
    const isMountRoot = dentry.address === mount.value("mnt_root") && dentry.value("d_parent") === dentry.address;
    if (!isMountRoot && (dentry.follow("d_op")?.value("d_dname") ?? 0n) !== 0n) return this.#makeUpName(dentry);
    const parent = dentry.value("d_parent");
    // An entry that is its own parent is a root, and roots are never in the hash either.
    const isDeleted = parent !== dentry.address && dentry.value("d_hash.pprev") === 0n;
    return (this.#join(dentry, mount) ?? "") + (isDeleted ? " (deleted)" : "");
  }

  /** The functions d_dname of the kernel's own file systems, by the name of the file system. */
  #makeUpName(dentry: StructCursor): string {
    const fileSystem = dentry.follow("d_sb")?.follow("s_type")?.text(LONGEST_NAME, "name") ?? "";
    const inode = dentry.follow("d_inode")?.value("i_ino") ?? 0n;
    switch (fileSystem) {
      case "pipefs":
        return `pipe:[${inode}]`;
      case "sockfs":
        return `socket:[${inode}]`;
      case "anon_inodefs":
        return `anon_inode:${this.#name(dentry)}`;
      case "nsfs": {
        const operations = dentry.value("d_fsdata");
        return `${this.#kernel.at("proc_ns_operations", operations).text(LONGEST_NAME, "name")}:[${inode}]`;
      }
      case "dmabuf":
        return `/dmabuf:${this.#name(dentry)}`;
      default:
        return `/${this.#name(dentry)} (deleted)`;
    }
  }

  #join(first: StructCursor, firstMount: StructCursor, root?: StructCursor): string | undefined {
    const names: string[] = [];
    const [rootDentry, rootMount] = root ? [root.value("dentry"), root.value("mnt")] : [];
    let size = 0;
    let dentry = first;
    let mount = firstMount;
    for (let step = 0; step < MOST_NAMES && size <= LONGEST_PATH && this.#left > 0; step++) {
      this.#left--;
      if (dentry.address === rootDentry && mount.address === rootMount) return `/${names.reverse().join("/")}`;
      const parent = dentry.follow("d_parent");
      if (!parent) break;
      if (dentry.address !== mount.value("mnt_root") && parent.address !== dentry.address) {
        const name = this.#name(dentry);
        size += name.length + 1;
        names.push(name);
        dentry = parent;
        continue;
      }
      const outer = this.#kernel.at("mount", mount.address - BigInt(this.#mount));
      const above = outer.follow("mnt_parent");
      const place = outer.follow("mnt_mountpoint");
      if (!above || !place || above.address === outer.address) {
        return root ? undefined : `/${names.reverse().join("/")}`;
      }
      dentry = place;
      mount = above.member("mnt");
    }
    throw new KernelDataError(
      "a path",
      first.address,
      `it does not end within ${MOST_NAMES} names, or too many others are as long`,
    );
  }

  #name(dentry: StructCursor): string {
    const length = Math.min(dentry.number("d_name.len"), LONGEST_NAME);
    const at = dentry.value("d_name.name");
    return this.#kernel.memory.readSome(at, length).toString("utf8");
  }
}
