import { constants } from "node:os";
import { getSystemErrorName } from "node:util";

/** Sentences for people in place of the system's short names. */
const SENTENCES: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "this is a folder",
  ENOTDIR: "a part of the path is no folder",
  ENOSPC: "no space is left on the disk",
  EDQUOT: "your quota on the disk is used up",
  EFBIG: "the file would be larger than the file system, or a limit (ulimit -f), allows",
  EROFS: "the file system is read-only",
  EMFILE: "too many files are open",
  ENOMEM: "there is not enough memory",
  ENODEV: "the file system cannot map files",
  ENAMETOOLONG: "the name is too long",
};

/**
 * Says in words what the system refused.
 *
 * @param error what a function of node:fs has thrown, or the number of an error
 */
export function describeSystemError(error: unknown): string {
  const code = typeof error === "number" ? getSystemErrorName(-error) : (error as NodeJS.ErrnoException).code;
  const sentence = code === undefined ? undefined : SENTENCES[code];
  return sentence ?? (typeof error === "number" ? (code ?? `error ${error}`) : (error as Error).message);
}

/** Makes an error of the system's number that is thrown like those of node:fs. */
export function createSystemError(errno: number, detail: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  const error: NodeJS.ErrnoException = new Error(detail || describeSystemError(errno));
  error.code = code;
  error.errno = errno;
  return error;
}

/** Whether a job was stopped because that was asked for. */
export function isCancelled(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).errno === constants.errno.ECANCELED;
}
