import { isUtf8 } from "node:buffer";
import { type FileKind, getFileKind } from "../../systems/linux/files/file-mode";

/** The facts of a file, without its content. */
export interface NodeFacts {
  readonly inode: number;
  /** As stat(2) has it, with the kind of file. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  /** In bytes. */
  readonly size: number;
  /** Of the last change of the content, since 1970. */
  readonly modifiedNs: bigint;
}

/** A file of a file system. */
export interface FileNode {
  readonly facts: NodeFacts;
  /** The number or address by which its file system knows it. */
  readonly handle: bigint;
}

/** A name in a directory, and what it stands for: undefined when that is damaged. */
export interface NamedNode {
  readonly name: Buffer;
  readonly node: FileNode | undefined;
}

/** The files in a directory, and the reason why some are missing; undefined when none is. */
export interface NodeList {
  readonly entries: readonly NamedNode[];
  readonly problem: string | undefined;
}

/** A file system of the guest that can be read, whatever it is read from. */
export interface FileTree {
  /** The source of its answers. */
  readonly source: FileSource;
  readonly root: FileNode;
  list(node: FileNode): Promise<NodeList>;
  find(directory: FileNode, name: Buffer): Promise<FileNode | undefined>;
  /** Reads a piece of a file: fewer bytes at its end. @throws DiskError when it cannot be read */
  read(node: FileNode, offset: number, size: number): Promise<Buffer>;
  /** Reads what a symbolic link says. @throws DiskError */
  readLink(node: FileNode): Promise<Buffer>;
}

/** "disk": as it is on the disk; "disk+memory": with what the kernel has not written yet; "memory": the kernel's caches alone. */
export type FileSource = "disk" | "disk+memory" | "memory";

/** Returns the kind of a file. */
export function kindOf({ mode }: NodeFacts): FileKind {
  return getFileKind(mode);
}

/** Makes a name text: bytes that are no UTF-8 are shown as \xNN. */
export function nameToText(name: Buffer): string {
  if (isUtf8(name)) return name.toString("utf8");
  return [...name].map((byte) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`)).join("");
}
