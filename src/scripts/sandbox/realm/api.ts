import { CROSSING_ERRORS } from "../crossing-errors";
import type { OperationDescription } from "../raw-host";
import { CallbackManager, EventBatch } from "./fast/callbacks";
import { Cpu, getBlockCount, getCpus, getRunningProcess, isMonitoredProcess, readCpu } from "./fast/cpu";
import { answerCpuid, answerSystemCall, hookFunction } from "./fast/hooks";
import { TranslationBlock } from "./fast/listeners";
import { findPa, readPa, readVa, vaToPa, viewPa, writePa, writeVa } from "./fast/memory";
import { Engine } from "./engine";
import { defineGuestClasses } from "./guest";
import { createFunctions, defineMembers, getClass } from "./remote";

/**
 * Creates what a script imports as "rebox".
 *
 * @param constants rebox's exports that are primitives
 * @param types CallbackManager's constants
 * @param operations the operations that rebox carries out
 */
export function createApi(
  constants: Readonly<Record<string, unknown>>,
  types: Readonly<Record<string, string>>,
  operations: readonly OperationDescription[],
): Record<string, unknown> {
  Object.assign(CallbackManager, types);
  defineGuestClasses();
  defineMembers(operations);
  return {
    ...constants,
    ...createFunctions(operations, ""),
    ...CROSSING_ERRORS,
    ...{ CallbackManager, EventBatch, TranslationBlock, Cpu, Engine },
    GuestFile: getClass("GuestFile"),
    volatility: createFunctions(operations, "volatility."),
    ...{ answerCpuid, answerSystemCall, getRunningProcess, hookFunction },
    ...{ readCpu, readPa, readVa, viewPa, writePa, writeVa },
    // Plain calls in place of the messages of the same name, which are sent where they are refused.
    ...{ findPa, getBlockCount, isMonitoredProcess, vaToPa },
    getNumCpus: () => getCpus().length,
    isKernelRunning: (cpuIndex = 0) => readCpu(cpuIndex).CPL === 0n,
  };
}
