import { Engine } from "../../machine/engine/engine";
import { DiskError } from "../errors";
import { type DiskVolume, isReadable, listDiskVolumes } from "./disk-volumes";
import { type FileTree, kindOf, nameToText } from "./file-tree";
import { GuestFile } from "./guest-file";
import { resolvePath } from "./guest-path";
import { findMounts, isOnVolume, openVolume } from "./volume-session";
import type { FileKind } from "../../systems/linux/files/file-mode";

/** A file system on one of the guest's disks. */
export interface GuestFilesystem {
  /** Which it is, for openGuestPath(). */
  readonly index: number;
  /** The name that blkid(8) has for it: "ext4", "vfat", "ntfs", "swap" ... */
  readonly type: string;
  /** In bytes. */
  readonly size: number;
  /** QEMU's name for the disk. */
  readonly disk: string;
  /** From 1; undefined when the file system has the whole disk. */
  readonly partition: number | undefined;
  readonly label: string;
  readonly uuid: string;
  /** The path at which the guest has it mounted; undefined when it has not, or its system is not known. */
  readonly mountedAt: string | undefined;
  /** Whether openGuestPath() can read it. */
  readonly isReadable: boolean;
}

/** A name in a directory. */
export interface GuestDirectoryEntry {
  readonly name: string;
  /** Undefined when what the name stands for is damaged. */
  readonly type: FileKind | undefined;
  readonly size: number;
}

/** The way in which a path is opened. */
export interface OpenGuestPathOptions {
  /** "disk" leaves out what the guest has not written yet; by default both are seen together. */
  readonly source?: "disk" | "disk+memory";
}

/**
 * Lists the file systems on the guest's disks, while the guest runs.
 *
 * @throws EngineUsageError when there is no machine
 * @throws DiskError when none of its disks can be read
 */
export async function getFilesystems(): Promise<GuestFilesystem[]> {
  const mounts = findMounts();
  return (await getVolumes()).map((volume, index) => ({
    index,
    type: volume.type,
    size: volume.sizeBytes,
    disk: volume.disk.name,
    partition: volume.partition,
    label: volume.label,
    uuid: volume.uuid,
    mountedAt: mounts.find((mounted) => isOnVolume(mounted, volume))?.mount.path,
    isReadable: isReadable(volume),
  }));
}

/**
 * Opens a file or a directory of the guest, while the guest runs. What it has not written to its disk yet is seen as well.
 *
 * @param index of the file system, as getFilesystems() lists them
 * @param path from the root of that file system; symbolic links are followed within it
 * @returns the names in a directory, a file, or undefined when there is nothing of this name
 * @throws DiskError when the file system cannot be read
 * @throws RangeError when there is none of this index
 */
export async function openGuestPath(
  index: number,
  path: string,
  options: OpenGuestPathOptions = {},
): Promise<GuestDirectoryEntry[] | GuestFile | undefined> {
  const volumes = await getVolumes();
  const volume = volumes[index];
  if (!volume) throw new RangeError(`there is no file system ${index}: getFilesystems() lists ${volumes.length}`);
  const withTree = <Result>(act: (tree: FileTree) => Promise<Result>): Promise<Result> =>
    readVolume(volume, options.source !== "disk", act);
  return withTree(async (tree) => {
    const node = await resolvePath(tree.root, Buffer.from(path), {
      kindOf: ({ facts }) => kindOf(facts),
      find: (directory, name) => tree.find(directory, name),
      readLink: (link) => tree.readLink(link),
    });
    if (!node) return undefined;
    if (kindOf(node.facts) !== "directory") return new GuestFile(path, node, withTree);
    const { entries, problem } = await tree.list(node);
    if (problem !== undefined && entries.length === 0) throw new DiskError(`${path}: ${problem}`);
    return entries.map(({ name, node: found }) => ({
      name: nameToText(name),
      type: found && kindOf(found.facts),
      size: found?.facts.size ?? 0,
    }));
  });
}

async function getVolumes(): Promise<DiskVolume[]> {
  const problems: string[] = [];
  const volumes = await listDiskVolumes(Engine.get(), (problem) => problems.push(problem));
  if (volumes.length === 0 && problems.length > 0) throw new DiskError(problems.join("; "));
  return volumes;
}

async function readVolume<Result>(
  volume: DiskVolume,
  isLiving: boolean,
  act: (tree: FileTree) => Promise<Result>,
): Promise<Result> {
  const mounted = isLiving ? findMounts().find((one) => isOnVolume(one, volume)) : undefined;
  const session = await openVolume(Engine.get(), volume, mounted);
  try {
    return await act(await session.openTree());
  } finally {
    await session.close();
  }
}
