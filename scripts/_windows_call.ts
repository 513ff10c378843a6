/** Reads what system calls of Windows are given; for windows_acts. Structs are those of programs of 64 bits. */
import { readVa, type WindowsGuest, type WindowsProcess } from "rebox";

/** In bytes: more than a path may have (UNICODE_STRING.Length). */
const LONGEST_TEXT = 0xfffe;
const PAGE = 4096;

/** The process that makes a call. */
export interface Caller {
  readonly guest: WindowsGuest;
  readonly process: WindowsProcess;
  readonly pgd: bigint;
}

/** Something that a call has done; all facts are values that JSON has. */
export interface Act {
  readonly act: string;
  /** Whether it is told once of each process: programs write a file a thousand times. */
  readonly isOnce?: boolean;
  readonly [fact: string]: string | number | boolean | readonly string[] | undefined;
}

/** Tells what a call has done, after it has succeeded. */
export type Finish = () => readonly Act[];

/** Looks at a call before it is carried out, by its arguments; undefined when it is nothing to tell. */
export type ActReader = (values: readonly bigint[], caller: Caller) => Finish | undefined;

/** Reads as much as can be read, from the start. */
export function readSome(pgd: bigint, address: bigint, size: number): Buffer {
  const parts: Buffer[] = [];
  try {
    for (let done = 0; done < size;) {
      const at = address + BigInt(done);
      const part = readVa(pgd, at, Math.min(size - done, PAGE - Number(at & 0xfffn)));
      parts.push(part);
      done += part.length;
    }
  } catch {
    // Not mapped, or not in memory at the moment.
  }
  return Buffer.concat(parts);
}

/** Reads words of 8 bytes; those that cannot be read are left out. */
export function readPointers(pgd: bigint, address: bigint, count: number): bigint[] {
  const bytes = readSome(pgd, address, count * 8);
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, index) => bytes.readBigUInt64LE(index * 8));
}

/** Reads a pointer or another word; 0 where it cannot be read. */
export function readPointer(pgd: bigint, address: bigint): bigint {
  return readPointers(pgd, address, 1)[0] ?? 0n;
}

/** Reads a UNICODE_STRING; undefined where it cannot be read. */
export function readText(pgd: bigint, address: bigint): string | undefined {
  const head = readSome(pgd, address, 16);
  if (address === 0n || head.length < 16) return undefined;
  const length = Math.min(head.readUInt16LE(0), LONGEST_TEXT) & ~1;
  const bytes = readSome(pgd, head.readBigUInt64LE(8), length);
  return bytes.toString("utf16le", 0, bytes.length & ~1);
}

/** Reads the path in an OBJECT_ATTRIBUTES: its name, behind the path of the handle that it is relative to. */
export function readObjectPath({ pgd, process }: Caller, address: bigint): string | undefined {
  const [, root, name] = readPointers(pgd, address, 3);
  if (root === undefined || name === undefined) return undefined;
  const text = readText(pgd, name) ?? "";
  if (root === 0n) return text === "" ? undefined : text;
  const folder = process.findHandle(toHandle(root))?.name ?? "?";
  return text === "" ? folder : `${folder}\\${text}`;
}

/** Finds the name of what a handle of the caller stands for; "?" without one. */
export function nameOf({ process }: Caller, handle: bigint): string {
  return process.findHandle(toHandle(handle))?.name || "?";
}

/** Handles of the kernel, which are negative numbers, are none of a program's. */
function toHandle(value: bigint): number {
  const number = BigInt.asIntN(32, value);
  return number > 0n ? Number(number) : 0;
}

/** NtCurrentProcess() and NtCurrentThread(). */
const CURRENT_PROCESS = -1n;
const CURRENT_THREAD = -2n;

/** Finds another process by the caller's handle of it, or of a thread of it; undefined for the caller itself. */
export function findOther({ guest, process }: Caller, handle: bigint): { pid: number; name: string } | undefined {
  const signed = BigInt.asIntN(64, handle);
  if (signed === CURRENT_PROCESS || signed === CURRENT_THREAD) return undefined;
  const found = process.findHandle(toHandle(handle));
  if (found === undefined) return undefined;
  const others = guest.getProcessList();
  const other =
    found.type === "Thread"
      ? others.find(({ threads }) => threads.some(({ kaddr }) => kaddr === found.object))
      : others.find(({ kaddr }) => kaddr === found.object);
  return other === undefined || other.pid === process.pid ? undefined : { pid: other.pid, name: other.name };
}
