/** Says which system calls an act may come of: these are looked at before the kernel carries them out. */
import type { CallChoice } from "rebox/trusted";

/** Calls that write into the file of their first descriptor, and of another one. */
export const WRITES_FIRST = ["write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile64", "sendfile", "ftruncate", "fallocate"]; // prettier-ignore
export const WRITES_THIRD = ["copy_file_range", "splice"];
/** After these, a descriptor may be another file. */
const CHANGES =
  /^(open|close|dup|socket|accept|pipe|creat|fcntl|eventfd|epoll_create|memfd|timerfd|signalfd|io_uring|execve)/;
/** include/uapi/asm-generic/fcntl.h */
export const O_TRUNC = 0o1000n;
/** PROT_EXEC of include/uapi/asm-generic/mman-common.h. */
const PROT_EXEC = 4n;
/** FS_IOC_SETFLAGS of include/uapi/linux/fs.h, and the flags that keep a file from being changed. */
export const SET_FLAGS = 0x40086602n;
/** PR_SET_NAME of include/uapi/linux/prctl.h. */
export const SET_NAME = 15n;

/** Calls of which only some can be acts. */
const CHOICES: ReadonlyMap<string, CallChoice> = new Map<string, CallChoice>([
  ...WRITES_FIRST.map((call) => [call, { argument: 0, isUnsettled: true }] as const),
  ...WRITES_THIRD.map((call) => [call, { argument: 2, isUnsettled: true }] as const),
  ["mmap", { argument: 2, mask: PROT_EXEC, value: PROT_EXEC }],
  ["mprotect", { argument: 2, mask: PROT_EXEC, value: PROT_EXEC }],
  ["ioctl", { argument: 1, mask: 0xffff_ffffn, value: SET_FLAGS }],
  ["open", { argument: 1, mask: O_TRUNC, value: O_TRUNC }],
  ["openat", { argument: 2, mask: O_TRUNC, value: O_TRUNC }],
  ["prctl", { argument: 0, mask: 0xffff_ffffn, value: SET_NAME }],
]);

/** Chooses the calls of a name that are looked at, of a name that acts come of. */
export function chooseCalls(call: string): CallChoice {
  return CHOICES.get(call) ?? "all";
}

/** Whether a descriptor may be another file after a call. */
export function changesDescriptors(call: string): boolean {
  return CHANGES.test(call);
}
