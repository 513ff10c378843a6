import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import type { Cpu } from "../../machine/state/cpu";
import { HookError } from "../errors";

const REGISTERS = { eax: "RAX", ebx: "RBX", ecx: "RCX", edx: "RDX" } as const;
const OPTIONS = ["leaf", "pgd"];
const LARGEST = 0xffffffff;

type Register = keyof typeof REGISTERS;

/** A question that a program asks the processor, with the answer of QEMU. */
export interface CpuidQuestion extends Readonly<Record<Register, number>> {
  /** The number in EAX. */
  readonly leaf: number;
  /** The number in ECX. */
  readonly subleaf: number;
  /** Of the program, or of whichever the kernel asks in. */
  readonly pgd: bigint;
  readonly cpuIndex: number;
}

/** Registers that get another answer, of 32 bits; undefined leaves all to QEMU. */
export type CpuidAnswer = Partial<Record<Register, number>> | undefined;

/** Which questions are answered. */
export interface CpuidOptions {
  /** Only this leaf: 1 is that of the processor's features. All by default. */
  readonly leaf?: number;
  /** Only questions of this address space; of all by default. */
  readonly pgd?: bigint;
}

/** Answers to CPUID that a script gives. */
export interface CpuidHook {
  /** How many questions it has answered in place of QEMU. */
  readonly calls: number;
  /** Ends it. */
  remove(): void;
}

/** Access to the script and its machine. */
export interface CpuidAccess {
  readonly callbacks: Pick<CallbackManager, "addCallback" | "callbackExists" | "rmCallback">;
  readonly getRunningProcess: (cpuIndex: number) => bigint;
}

/**
 * Answers CPUID in place of QEMU.
 *
 * @param answer is asked when QEMU's answer is there
 * @throws HookError for what makes no answer
 */
export function hookCpuid(
  answer: (question: CpuidQuestion) => CpuidAnswer,
  options: CpuidOptions,
  { callbacks, getRunningProcess }: CpuidAccess,
): CpuidHook {
  check(answer, options);
  const { leaf, pgd } = options;
  let calls = 0;
  const filter = {
    ...(leaf !== undefined && { value: { equals: BigInt(leaf) } }),
    ...(pgd !== undefined && { pgd }),
  };
  const name = callbacks.addCallback(
    "CPUID_CB",
    (cpuIndex, cpu, asked, subleaf) => {
      const read = (register: Register) => Number(cpu[REGISTERS[register]]);
      const answered = answer({
        ...{ leaf: asked, subleaf, cpuIndex, pgd: getRunningProcess(cpuIndex) },
        ...{ eax: read("eax"), ebx: read("ebx"), ecx: read("ecx"), edx: read("edx") },
      });
      if (answered === undefined) return;
      give(cpu, answered);
      calls++;
    },
    leaf === undefined && pgd === undefined ? {} : { filter },
  );
  return {
    get calls() {
      return calls;
    },
    remove: () => {
      if (callbacks.callbackExists(name)) callbacks.rmCallback(name);
    },
  };
}

function give(cpu: Cpu, answer: NonNullable<CpuidAnswer>): void {
  const entries = Object.entries(answer as Record<string, unknown>);
  for (const [register, value] of entries) {
    if (!Object.hasOwn(REGISTERS, register)) fail(`the answer has ${register}: its members are eax, ebx, ecx, edx`);
    // Bits are computed with signs in JavaScript: -1 is all of them.
    if (typeof value !== "number" || !Number.isInteger(value) || value < -(2 ** 31) || value > LARGEST)
      fail(`the answer's ${register} is ${String(value)}: a number of 32 bits`);
  }
  if (entries.length === 0) fail("the answer has no register: a promise is too late, and {} is none");
  for (const [register, value] of entries) cpu[REGISTERS[register as Register]] = BigInt((value as number) >>> 0);
}

function check(answer: unknown, { leaf, pgd, ...rest }: CpuidOptions): void {
  if (typeof answer !== "function") fail("no function is given that answers");
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) fail(`the option ${unknown} is unknown; options are ${OPTIONS.join(" and ")}`);
  if (leaf !== undefined && !(Number.isInteger(leaf) && leaf >= 0 && leaf <= LARGEST))
    fail(`leaf is ${String(leaf)}: a number from 0 to 0xffffffff`);
  if (pgd !== undefined && typeof pgd !== "bigint") fail(`pgd is a ${typeof pgd}: an address space is a bigint`);
}

function fail(text: string): never {
  throw new HookError(`answerCpuid(): ${text}`);
}
