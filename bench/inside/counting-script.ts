/** A script that counts blocks; measured in the sandbox and outside of it. */
import { ALL_PROCESSES, CallbackManager, getRunningProcess, startMonitoringProcess } from "rebox";

let callbacks: CallbackManager;
let calls = 0;
let mixed = 0n;

export function initialize_callbacks(moduleHandle: number): void {
  callbacks = new CallbackManager(moduleHandle);
  startMonitoringProcess(ALL_PROCESSES);
}

export const clean = (): void => callbacks.clean();

/** Begins to count: "count", "read" or "process" with a callback, "stream" with a stream. */
export function do_begin(line: string): void {
  if (line === "stream") {
    callbacks.addStream(CallbackManager.BLOCK_BEGIN_CB, ({ pc, length }) => {
      for (let at = 0; at < length; at++) mixed = BigInt.asUintN(64, mixed + pc[at]!);
      calls += length;
    });
  } else if (line === "read") {
    callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, (_cpuIndex, cpu, tb) => {
      calls++;
      mixed = BigInt.asUintN(64, mixed + tb.pc + cpu.RAX);
    });
  } else if (line === "process") {
    callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, (cpuIndex) => {
      calls++;
      mixed = BigInt.asUintN(64, mixed + getRunningProcess(cpuIndex));
    });
  } else {
    callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => void calls++);
  }
}

/** Says how many blocks were counted. */
export function do_calls(): string {
  return String(calls);
}
