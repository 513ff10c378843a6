import { CallbackManager } from "../../machine/callbacks/callback-manager";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import { findModuleHandle } from "../../machine/ownership/module-owners";
import { getRunningProcess } from "../../machine/state/processes";
import { type CpuidAnswer, type CpuidHook, type CpuidOptions, type CpuidQuestion, hookCpuid } from "./cpuid-answers";

const common = new ModuleOwner("rebox");

/**
 * Answers the instruction CPUID in place of QEMU: for all programs and the kernel, or for some.
 *
 * @param answer is asked when QEMU's answer is there, at each CPUID; returns the registers that are to be others, undefined for none
 * @param options leaf: only this question; pgd: only this address space
 * @param owner the script that the answers go with; a script need not give it
 * @returns what counts the answers, and can be removed
 * @throws HookError for what makes no answer; EngineUsageError without a machine
 */
export function answerCpuid(
  answer: (question: CpuidQuestion) => CpuidAnswer,
  options: CpuidOptions = {},
  owner: ModuleOwner = common,
): CpuidHook {
  owner.check();
  const callbacks = new CallbackManager(findModuleHandle(owner) ?? 0, owner);
  return hookCpuid(answer, options, { callbacks, getRunningProcess });
}
