/** Says which system calls of 32-bit programs do the same as those of 64 bits. */
import { readVa } from "rebox";

/** Calls that 32-bit programs have under another name (arch/x86/entry/syscalls/syscall_32.tbl). */
const SAME: Readonly<Record<string, string>> = {
  ...{ ftruncate64: "ftruncate", truncate64: "truncate", mmap_pgoff: "mmap", oldumount: "umount" },
  ...{ utime32: "utime", utimes_time32: "utimes", futimesat_time32: "futimesat", utimensat_time32: "utimensat" },
  ...{ clock_settime32: "clock_settime", stime32: "settimeofday", stime: "settimeofday" },
};

/** Calls with user ids of 16 bits, and the first argument that is one. */
const SHORT_IDS: Readonly<Record<string, number>> = {
  ...{ chown16: 1, lchown16: 1, fchown16: 1, setuid16: 0, setgid16: 0 },
  ...{ setreuid16: 0, setregid16: 0, setresuid16: 0, setresgid16: 0 },
};

/** The calls of socketcall(2) that acts come of (include/uapi/linux/net.h). */
const SOCKET_CALLS: Readonly<Record<number, string>> = {
  ...{ 3: "connect", 4: "listen", 5: "accept", 11: "sendto", 16: "sendmsg", 18: "accept4", 20: "sendmmsg" },
};
const MOST_ARGUMENTS = 6;

/** A call by the name and with the arguments that it has in programs of 64 bits. */
export interface WideCall {
  readonly name: string;
  readonly values: readonly bigint[];
}

/** Returns the name in programs of 64 bits of a call by its name in those of 32; of socketcall its own. */
export function widenName(name: string): string | undefined {
  // Its arguments lie in memory, and no program of the last decades makes it.
  if (name === "mmap") return undefined;
  return SAME[name] ?? (name in SHORT_IDS ? name.slice(0, -2) : name);
}

/** Returns a call of a 32-bit program as one of 64 bits; undefined for a call of socketcall that no act comes of. */
export function widenCall(name: string, values: readonly bigint[], pgd: bigint): WideCall | undefined {
  if (name === "socketcall") return readSocketCall(values, pgd);
  const wide = widenName(name);
  const ids = SHORT_IDS[name];
  if (wide === undefined) return undefined;
  return { name: wide, values: ids === undefined ? values : values.map((value, at) => (at < ids ? value : widenId(value))) }; // prettier-ignore
}

function readSocketCall([call = 0n, address = 0n]: readonly bigint[], pgd: bigint): WideCall | undefined {
  const name = SOCKET_CALLS[Number(BigInt.asUintN(32, call))];
  if (name === undefined) return undefined;
  try {
    const bytes = readVa(pgd, address, MOST_ARGUMENTS * 4);
    return { name, values: Array.from({ length: MOST_ARGUMENTS }, (_, at) => BigInt(bytes.readUInt32LE(at * 4))) };
  } catch {
    // Not in memory at the moment.
    return undefined;
  }
}

/** Minus one leaves an id as it is, in both sizes. */
function widenId(value: bigint): bigint {
  const id = BigInt.asUintN(16, value);
  return id === 0xffffn ? -1n : id;
}
