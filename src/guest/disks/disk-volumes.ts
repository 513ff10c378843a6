import type { Engine } from "../../machine/engine/engine";
import { type BlockSource, DiskPart } from "./block-source";
import { listMachineDisks, type MachineDisk, openMachineDisk } from "./machine-disks";
import { readPartitions } from "./partition-table";
import { findVolumeType } from "./volume-type";

/** More disks, and partitions of one, are not looked at. */
const MOST_DISKS = 64;
/** In the super block of ext (fs/ext4/ext4.h: s_uuid, s_volume_name), from the start of the volume. */
const EXT_UUID = 1024 + 104;
const EXT_LABEL = 1024 + 120;
const EXT_TYPES = ["ext2", "ext3", "ext4"];

/** A part of a disk, or a whole one, with a file system that is known by its marks. */
export interface DiskVolume {
  readonly disk: MachineDisk;
  /** From 1; undefined when the file system has the whole disk. */
  readonly partition: number | undefined;
  /** On the disk, in bytes. */
  readonly start: number;
  readonly sizeBytes: number;
  /** The name that blkid(8) has for it. */
  readonly type: string;
  /** Of ext file systems; empty for others. */
  readonly uuid: string;
  readonly label: string;
}

/** Reports whether rebox can read a file system. */
export function isReadable({ type }: DiskVolume): boolean {
  return EXT_TYPES.includes(type);
}

/**
 * Lists the file systems on the machine's disks, in the order of disks and partitions.
 *
 * @param onProblem called for a disk that cannot be read
 */
export async function listDiskVolumes(engine: Engine, onProblem: (text: string) => void): Promise<DiskVolume[]> {
  const volumes: DiskVolume[] = [];
  for (const disk of (await listMachineDisks(engine)).slice(0, MOST_DISKS)) {
    try {
      volumes.push(...(await look(engine, disk)));
    } catch (error) {
      onProblem(`${disk.name}: ${(error as Error).message}`);
    }
  }
  return volumes;
}

async function look(engine: Engine, disk: MachineDisk): Promise<DiskVolume[]> {
  const { source, close } = await openMachineDisk(engine, disk);
  try {
    const whole = await describe(disk, source, undefined, 0);
    // A boot sector of a file system has the same signature as a partition table.
    if (whole) return [whole];
    const volumes: DiskVolume[] = [];
    for (const { number, start, sizeBytes } of await readPartitions(source)) {
      const volume = await describe(disk, new DiskPart(source, start, sizeBytes), number, start);
      if (volume) volumes.push(volume);
    }
    return volumes;
  } finally {
    await close();
  }
}

async function describe(
  disk: MachineDisk,
  source: BlockSource,
  partition: number | undefined,
  start: number,
): Promise<DiskVolume | undefined> {
  const type = await findVolumeType(source);
  if (type === undefined) return undefined;
  const { sizeBytes } = source;
  if (!EXT_TYPES.includes(type)) return { disk, partition, start, sizeBytes, type, uuid: "", label: "" };
  const uuid = Buffer.from(await source.read(EXT_UUID, 16)).toString("hex");
  const label = Buffer.from(await source.read(EXT_LABEL, 16));
  return {
    ...{ disk, partition, start, sizeBytes, type },
    uuid: uuid.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
    label: label.subarray(0, label.indexOf(0) < 0 ? 16 : label.indexOf(0)).toString("utf8"),
  };
}
