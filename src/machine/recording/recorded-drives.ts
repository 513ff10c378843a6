import { resolve } from "node:path";
import { RecordingError } from "../errors";
import { type MachineOption, readParts, writeParts } from "./machine-options";

/** A disk of the machine, as it was before the recording. */
export interface RecordedDisk {
  /** The image, absolute; it is only read. */
  readonly path: string;
  /** As the option says; undefined: to be looked at. */
  readonly format: string | undefined;
  /** The guest may not write it: it needs no overlay. */
  readonly isReadOnly: boolean;
  /** The names of QEMU's nodes: of what orders the operations, and of the image below it. */
  readonly node: string;
  readonly imageNode: string;
}

/** Options of -drive about the device, which stay; those about the image are the overlay's business. */
const OF_DEVICE = ["if", "index", "bus", "unit", "media", "id", "werror", "rerror", "readonly", "read-only"];
const OF_IMAGE = ["file", "format", "cache", "aio", "discard", "detect-zeroes", "snapshot", "copy-on-read"];
const SHORT: Readonly<Record<string, readonly [name: string, value: string][]>> = {
  "-hda": [["index", "0"], ["media", "disk"]], // prettier-ignore
  "-hdb": [["index", "1"], ["media", "disk"]], // prettier-ignore
  "-hdc": [["index", "2"], ["media", "disk"]], // prettier-ignore
  "-hdd": [["index", "3"], ["media", "disk"]], // prettier-ignore
  "-cdrom": [["index", "2"], ["media", "cdrom"]], // prettier-ignore
};

/** Whether an option gives the machine a drive. */
export function isDrive({ name }: MachineOption): boolean {
  return name === "-drive" || Object.hasOwn(SHORT, name);
}

/** Returns the name of the node of a disk's image, below the one that a recording puts over it. */
export function getImageNode(node: string): string {
  return `${node}-image`;
}

/**
 * Plans a drive: QEMU's recorder orders its operations, so a node of the driver blkreplay comes between device and image.
 *
 * @param number of the disk, from 0
 * @param folder in which relative paths begin
 * @returns the disk, undefined for a drive without a medium, and QEMU's arguments for the drive
 * @throws RecordingError for a drive that cannot be recorded
 */
export function planDrive(
  option: MachineOption,
  number: number,
  folder: string,
): { readonly disk: RecordedDisk | undefined; readonly file: string | undefined; readonly args: string[] } {
  const { name, value = "" } = option;
  const parts = name === "-drive" ? readParts(value) : [...(SHORT[name] ?? []), ["file", value] as [string, string]];
  const find = (key: string) => parts.find(([part]) => part === key)?.[1];
  const refuse = (reason: string): never => {
    throw new RecordingError(`${name} ${value} cannot be recorded: ${reason}`);
  };
  const file = find("file");
  if (file === undefined || file === "") return { disk: undefined, file: undefined, args: ["-drive", value] };
  if (/^[a-z][\w+-]*:/.test(file)) refuse("its disk is no file, and what answers for it is not in QEMU's log");
  const path = resolve(folder, file);
  const isReadOnly =
    find("media") === "cdrom" || ["on", "true", "yes"].includes(find("readonly") ?? find("read-only") ?? "");
  const kind = find("if");
  if (kind === "pflash") {
    if (!isReadOnly) refuse("firmware that the guest writes is no disk that QEMU's recorder orders: add readonly=on");
    const fixed = parts.map(([key, text]) => [key, key === "file" ? path : text] as const);
    return { disk: undefined, file: path, args: ["-drive", writeParts(fixed)] };
  }
  if (kind !== undefined && !["ide", "scsi", "virtio", "none"].includes(kind)) {
    refuse(`QEMU reads a drive of if=${kind} while the guest waits, which its recorder cannot order`);
  }
  const unknown = parts.find(
    ([key]) => !OF_DEVICE.includes(key) && !OF_IMAGE.includes(key) && !key.startsWith("cache."),
  );
  if (unknown) refuse(`rebox does not know its ${unknown[0] === "" ? `"${unknown[1]}"` : unknown[0]}: leave it out`);
  const node = `rebox-disk-${number}`;
  const imageNode = getImageNode(node);
  const device = parts.filter(([key]) => OF_DEVICE.includes(key) && key !== "readonly" && key !== "read-only");
  const drive = [
    ...device,
    ...([
      ["driver", "blkreplay"],
      ["node-name", node],
      ["image", imageNode],
    ] as const),
    ...(isReadOnly ? [["readonly", "on"] as const] : []),
  ];
  const disk = { path, format: find("format"), isReadOnly, node, imageNode };
  return { disk, file: path, args: ["-drive", writeParts(drive)] };
}
