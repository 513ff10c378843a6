/** Acts on other processes, the kernel and the network by system calls of Windows; for windows_acts. */
import {
  type Act,
  type ActReader,
  type Caller,
  findOther,
  nameOf,
  readPointers,
  readSome,
  readText,
} from "./_windows_call";

// Rights on a process (winnt.h): to make threads, and to change memory.
const CREATE_THREAD = 0x2n;
const VM_OPERATION = 0x8n;
const VM_WRITE = 0x20n;
/** PAGE_EXECUTE_READWRITE and PAGE_EXECUTE_WRITECOPY (winnt.h). */
const WRITE_AND_EXECUTE = 0xc0n;
/** IOCTL_AFD_CONNECT, by which mswsock.dll has the driver afd.sys connect a socket; its structs are not public. */
const AFD_CONNECT = 0x12007n;
const CONNECT_ADDRESS = 0x18n;
const AF_INET = 2;
const AF_INET6 = 23;

/** Tells an act on another process, by the handle that the caller has of it. */
function onOther(caller: Caller, handle: bigint, facts: Omit<Act, "target">): (() => readonly Act[]) | undefined {
  const other = findOther(caller, handle);
  return other && (() => [{ ...(facts as Act), target: other.pid, targetName: other.name }]);
}

const inject =
  (way: string, at: number): ActReader =>
  (values, caller) =>
    onOther(caller, values[at] ?? 0n, { act: "process.injected", isOnce: true, way });

/** Memory that is writable and executable, of the caller or of another process. */
function changeMemory(caller: Caller, handle: bigint, rights: bigint, way: string): (() => readonly Act[]) | undefined {
  if ((rights & WRITE_AND_EXECUTE) === 0n) return undefined;
  const other = findOther(caller, handle);
  const target = other && { target: other.pid, targetName: other.name };
  return () => [{ act: "process.memory", isOnce: true, rights: "writable and executable", way, ...target }];
}

export const PROCESS_ACTS: Readonly<Record<string, ActReader>> = {
  NtOpenProcess: ([place = 0n, access = 0n], caller) => {
    if ((access & (CREATE_THREAD | VM_OPERATION | VM_WRITE)) === 0n) return undefined;
    return () => {
      const handle = readPointers(caller.pgd, place, 1)[0] ?? 0n;
      const rights = `0x${(access & 0xffffffffn).toString(16)}`;
      return onOther(caller, handle, { act: "process.opened", isOnce: true, rights })?.() ?? [];
    };
  },
  NtWriteVirtualMemory: inject("NtWriteVirtualMemory", 0),
  NtCreateThreadEx: inject("NtCreateThreadEx", 3),
  NtCreateThread: inject("NtCreateThread", 3),
  NtMapViewOfSection: inject("NtMapViewOfSection", 1),
  NtMapViewOfSectionEx: inject("NtMapViewOfSectionEx", 1),
  NtUnmapViewOfSection: inject("NtUnmapViewOfSection", 0),
  NtQueueApcThread: inject("NtQueueApcThread", 0),
  NtQueueApcThreadEx: inject("NtQueueApcThreadEx", 0),
  NtSetContextThread: inject("NtSetContextThread", 0),
  NtSuspendThread: inject("NtSuspendThread", 0),
  NtSuspendProcess: inject("NtSuspendProcess", 0),
  NtTerminateProcess: ([handle = 0n], caller) => onOther(caller, handle, { act: "process.terminated" }),
  NtAllocateVirtualMemory: ([handle = 0n, , , , , rights = 0n], caller) =>
    changeMemory(caller, handle, rights, "NtAllocateVirtualMemory"),
  NtProtectVirtualMemory: ([handle = 0n, , , rights = 0n], caller) =>
    changeMemory(caller, handle, rights, "NtProtectVirtualMemory"),
  NtLoadDriver: ([name = 0n], { pgd }) => {
    const key = readText(pgd, name) ?? "?";
    return () => [{ act: "kernel.module", key, way: "NtLoadDriver" }];
  },
  NtUnloadDriver: ([name = 0n], { pgd }) => {
    const key = readText(pgd, name) ?? "?";
    return () => [{ act: "kernel.module", key, way: "NtUnloadDriver" }];
  },
  NtSetSystemTime: () => () => [{ act: "kernel.time" }],
  NtDeviceIoControlFile: ([handle = 0n, , , , , code = 0n, input = 0n, size = 0n], caller) => {
    if ((code & 0xffffffffn) !== AFD_CONNECT) return undefined;
    const address = readAddress(caller, input + CONNECT_ADDRESS, Number(size & 0xffffn) - Number(CONNECT_ADDRESS));
    const device = nameOf(caller, handle);
    return address && (() => [{ act: "network.connected", ...address, device }]);
  },
};

/** Reads a SOCKADDR (ws2def.h, ws2ipdef.h). */
function readAddress({ pgd }: Caller, at: bigint, size: number): { address: string; port: number } | undefined {
  const bytes = readSome(pgd, at, Math.max(0, Math.min(size, 28)));
  if (bytes.length < 8) return undefined;
  const [family, port] = [bytes.readUInt16LE(0), bytes.readUInt16BE(2)];
  if (family === AF_INET) return { address: bytes.subarray(4, 8).join("."), port };
  if (family !== AF_INET6 || bytes.length < 24) return undefined;
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(8 + index * 2).toString(16));
  return { address: new URL(`http://[${words.join(":")}]`).hostname.slice(1, -1), port };
}
