/** The base of the readers of acts. An act is what a system call did, told when it has returned. */
import type { LinuxProcess } from "rebox";
import type { Traced } from "../traced-processes";

/** Tells what a call has done, by what it returned. */
export type Act = (result: bigint, process: LinuxProcess | undefined) => void;

/** Reports an act of a process; facts are values that JSON has. */
export type ReportAct = (act: string, caller: Traced, facts: object) => void;

/** Finds out what a call is about to do, from its arguments and the size of its program's pointers; undefined when it is nothing to tell. */
export type FindAct = (values: readonly bigint[], caller: Traced, bits: 32 | 64) => Act | undefined;

/** Makes an act that is told when the call succeeds. */
export function onSuccess(tell: (process: LinuxProcess | undefined, result: bigint) => void): Act {
  return (result, process) => {
    if (result >= 0n) tell(process, result);
  };
}

/** Finds the path of an open file. */
export function findPath(process: LinuxProcess | undefined, descriptor: bigint): string | undefined {
  const number = Number(BigInt.asIntN(32, descriptor));
  return process?.findOpenFile(number)?.path;
}
