/** The kinds of file, by the bits of a mode that tell them apart (S_IFMT of include/uapi/linux/stat.h). */
export const FileFormat = {
  pipe: 0x1000,
  characterDevice: 0x2000,
  directory: 0x4000,
  blockDevice: 0x6000,
  regular: 0x8000,
  link: 0xa000,
  socket: 0xc000,
} as const;

export type FileKind = "file" | "directory" | "link" | "device" | "pipe" | "socket" | "other";

const FORMAT_BITS = 0xf000;

const KINDS: Readonly<Record<number, FileKind>> = {
  [FileFormat.pipe]: "pipe",
  [FileFormat.characterDevice]: "device",
  [FileFormat.directory]: "directory",
  [FileFormat.blockDevice]: "device",
  [FileFormat.regular]: "file",
  [FileFormat.link]: "link",
  [FileFormat.socket]: "socket",
};

/**
 * Returns the bits of a mode that say which kind of file it is: one of FileFormat, or what no kernel writes.
 *
 * @param mode as stat(2) has it
 */
export function getFileFormat(mode: number): number {
  return mode & FORMAT_BITS;
}

/** Returns the kind of file that a mode stands for; "other" for a mode that no kernel writes. */
export function getFileKind(mode: number): FileKind {
  return KINDS[getFileFormat(mode)] ?? "other";
}
