import { KernelDataError } from "../../errors";
import { walkList } from "../../structs/kernel-list";
import { walkTree } from "../structs/red-black-tree";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { PathReader } from "./path-reader";
import type { StructCursor } from "../../structs/struct-cursor";

const LONGEST_NAME = 256;
const MNT_READONLY = 0x40;
const SB_RDONLY = 1n;

/** A mounted file system. */
export interface Mount {
  /** The device or name that is mounted, as the first column of /proc/mounts. */
  readonly device: string;
  readonly path: string;
  readonly fileSystem: string;
  readonly isReadOnly: boolean;
  /** The address of its struct mount. */
  readonly kaddr: bigint;
}

/**
 * Lists what is mounted in the namespace of a process.
 *
 * @param task the address of its task_struct
 * @throws KernelDataError when the list is damaged
 */
export function listMounts(kernel: LinuxKernel, paths: PathReader, task: bigint): Mount[] {
  try {
    const owner = kernel.at("task_struct", task);
    const namespace = owner.follow("nsproxy")?.follow("mnt_ns");
    const root = owner.follow("fs")?.member("root");
    if (!namespace || !root) return [];
    // Since 6.8 the mounts of a namespace are a tree; the list was its member "list" before.
    const mounts = namespace.has("mounts.rb_node")
      ? walkTree(kernel, namespace.addressOf("mounts"), "the mounts of a namespace", kernel.offset("mount", "mnt_node"))
      : walkList(
          kernel.memory,
          namespace.addressOf("list"),
          "the mounts of a namespace",
          kernel.offset("mount", "mnt_list"),
        );
    return [...mounts].flatMap((address) => readMount(kernel, paths, address, root) ?? []);
  } catch (error) {
    throw KernelDataError.from(error, "the mounts of a task_struct", task);
  }
}

function readMount(kernel: LinuxKernel, paths: PathReader, address: bigint, root: StructCursor): Mount | undefined {
  const mount = kernel.at("mount", address);
  const path = paths.findMountPoint(mount, root);
  if (path === undefined) return undefined;
  const superBlock = mount.follow("mnt.mnt_sb");
  const isReadOnly =
    (mount.number("mnt.mnt_flags") & MNT_READONLY) !== 0 || ((superBlock?.value("s_flags") ?? 0n) & SB_RDONLY) !== 0n;
  return {
    device: mount.text(LONGEST_NAME, "mnt_devname"),
    path,
    fileSystem: superBlock?.follow("s_type")?.text(LONGEST_NAME, "name") ?? "",
    isReadOnly,
    kaddr: address,
  };
}
