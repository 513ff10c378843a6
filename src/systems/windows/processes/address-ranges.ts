import { AddressError, KernelDataError } from "../../errors";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { readUnicodeString } from "../structs/unicode-string";

const PAGE_SHIFT = 12n;
const MOST_RANGES = 1 << 18;
/** MI_VAD_TYPE: a file that is mapped as an image. */
const VAD_IMAGE = 2;
/** By the lower three bits of a VAD's protection (MM_NOACCESS, MM_READONLY...); a page is copied where Windows says so. */
const PERMISSIONS = ["---", "r--", "--x", "r-x", "rw-", "rw-", "rwx", "rwx"] as const;

/** A range of a process' addresses that is reserved, and mostly mapped: a VAD. */
export interface AddressRange {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
  /** As "rwx", of the range as a whole when it was made; pages may have been given others since. */
  readonly permissions: string;
  /** Whether the memory belongs to this process alone; else it is that of a file or of a section. */
  readonly isPrivate: boolean;
  /** Whether a program or library is mapped as such. */
  readonly isImage: boolean;
  /** The file's path on its volume, as "\Windows\System32\ntdll.dll"; empty without a file. */
  readonly path: string;
  /** The address of its _MMVAD_SHORT. */
  readonly kaddr: bigint;
}

/**
 * Lists the address ranges of a process in the order of their addresses.
 *
 * @param process the address of its _EPROCESS
 * @throws KernelDataError when the tree of VADs loops, leads to nowhere or is too large
 */
export function listAddressRanges(kernel: WindowsKernel, process: bigint): AddressRange[] {
  const left = kernel.place("_MMVAD_SHORT", "VadNode.Left", "VadNode.LeftChild", "LeftChild").offset;
  const right = kernel.place("_MMVAD_SHORT", "VadNode.Right", "VadNode.RightChild", "RightChild").offset;
  const found: AddressRange[] = [];
  const seen = new Set<bigint>();
  const above: bigint[] = [];
  let at = findRoot(kernel, process);
  while (at !== 0n || above.length > 0) {
    while (at !== 0n) {
      if (seen.has(at)) throw new KernelDataError("the tree of VADs", at, "it loops");
      if (seen.size >= MOST_RANGES) throw new KernelDataError("the tree of VADs", at, `more than ${MOST_RANGES} VADs`);
      seen.add(at);
      above.push(at);
      at = follow(kernel, at, left);
    }
    const vad = above.pop() as bigint;
    found.push(readRange(kernel, vad));
    at = follow(kernel, vad, right);
  }
  return found;
}

/** A pointer to the first node (8.1 and later, and XP), or a node of which it is the right child. */
function findRoot(kernel: WindowsKernel, process: bigint): bigint {
  const cursor = kernel.at("_EPROCESS", process);
  try {
    if (cursor.has("VadRoot.Root")) return cursor.value("VadRoot.Root");
    if (cursor.has("VadRoot.BalancedRoot")) return cursor.value("VadRoot.BalancedRoot.RightChild");
    return cursor.value("VadRoot");
  } catch (error) {
    throw KernelDataError.from(error, "an _EPROCESS", process);
  }
}

function follow(kernel: WindowsKernel, vad: bigint, offset: number): bigint {
  try {
    return kernel.memory.pointer(vad + BigInt(offset));
  } catch (error) {
    throw KernelDataError.from(error, "a VAD", vad);
  }
}

function readRange(kernel: WindowsKernel, address: bigint): AddressRange {
  try {
    const vad = kernel.at("_MMVAD_SHORT", address);
    const page = (name: string): bigint =>
      vad.value(name) | (vad.has(`${name}High`) ? vad.value(`${name}High`) << 32n : 0n);
    const isPrivate = vad.value("u.VadFlags.PrivateMemory") !== 0n;
    const isImage = vad.has("u.VadFlags.VadType")
      ? vad.number("u.VadFlags.VadType") === VAD_IMAGE
      : vad.value("u.VadFlags.ImageMap") !== 0n;
    return {
      start: page("StartingVpn") << PAGE_SHIFT,
      end: (page("EndingVpn") + 1n) << PAGE_SHIFT,
      permissions: PERMISSIONS[vad.number("u.VadFlags.Protection") & 7] as string,
      isPrivate,
      isImage,
      path: isPrivate ? "" : readPath(kernel, address),
      kaddr: address,
    };
  } catch (error) {
    throw KernelDataError.from(error, "a VAD", address);
  }
}

/** Of a section without a file, and of one that cannot be read, the path is empty. */
function readPath(kernel: WindowsKernel, vad: bigint): string {
  try {
    const range = kernel.at("_MMVAD", vad);
    const area = range.has("Subsection")
      ? range.follow("Subsection")?.follow("ControlArea")
      : range.follow("ControlArea");
    if (!area) return "";
    const reference = area.value("FilePointer.Value", "FilePointer");
    // _EX_FAST_REF: the lower bits count references.
    const file = reference & ~(kernel.bits === 64 ? 0xfn : 7n);
    return file === 0n ? "" : readUnicodeString(kernel.at("_FILE_OBJECT", file).member("FileName"), kernel.memory);
  } catch (error) {
    if (error instanceof AddressError) return "";
    throw error;
  }
}
