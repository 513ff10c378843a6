import { AttachError, type AttachStep, KernelDataError } from "../errors";
import {
  describeList,
  type DiagnosisStep,
  type DiagnosisStepName,
  type GuestDiagnosis,
  NOT_REACHED,
  takeLook,
} from "../guest-diagnosis";
import type { GuestSource } from "../memory/guest-source";
import { attachWindows, type WindowsOptions } from "./attach-windows";
import { listMissingMembers } from "./structs/needed-members";
import type { WindowsGuest } from "./windows-guest";

const ATTACH_STEPS: readonly AttachStep[] = ["cpu", "image", "symbols", "page-tables", "types", "banner"];
const STRANGE_SYMBOLS = "the symbols lack what rebox needs: please report it";

/** Looks at one thing; undefined when there is nothing to look at. */
type Look = (guest: WindowsGuest) => string | undefined;

const LOOKS: readonly (readonly [DiagnosisStepName, Look])[] = [
  ["processes", lookAtProcesses],
  ["memory maps", lookAtRanges],
  ["programs", lookAtPrograms],
  [
    "modules",
    (guest) => describeList(guest.getKernelModules().map(({ name, base }) => `${name} at 0x${base.toString(16)}`)),
  ],
  ["agreement", lookAtAgreement],
  ["clock", ({ clock }) => new Date(Number(clock.realTimeNs / 1_000_000n)).toISOString()],
];

/**
 * Looks at a Windows guest step by step, and says on what evidence each step succeeds or fails. It remembers nothing.
 *
 * @returns undefined when no vCPU enters a Windows kernel
 */
export function diagnoseWindows(
  source: GuestSource,
  options: Omit<WindowsOptions, "trace">,
): GuestDiagnosis | undefined {
  const found = new Map<DiagnosisStepName, DiagnosisStep>();
  const add = (name: DiagnosisStepName, status: DiagnosisStep["status"], evidence: string, advice = ""): void => {
    found.set(name, { name, status, evidence, advice });
  };
  let guest: WindowsGuest | undefined;
  let isEarly = false;
  try {
    guest = attachWindows(source, { ...options, trace: (step, evidence) => add(step, "ok", evidence) });
    if (!guest) return undefined;
    add("types", "ok", describeTypes(guest, found.get("types")?.evidence ?? ""));
  } catch (error) {
    if (!(error instanceof AttachError)) throw error;
    isEarly = error.isEarly;
    add(error.step, "fail", error.evidence, error.advice);
  }
  const attached = guest;
  for (const [name, look] of LOOKS) {
    if (attached) found.set(name, { name, ...takeLook(() => look(attached), STRANGE_SYMBOLS) });
  }
  const order: readonly DiagnosisStepName[] = [...ATTACH_STEPS, ...LOOKS.map(([name]) => name)];
  const steps = order.map(
    (name) => found.get(name) ?? ({ name, status: "skip", evidence: NOT_REACHED, advice: "" } as const),
  );
  return { isHealthy: !steps.some(({ status }) => status === "fail"), isEarly, steps };
}

/** Members that this kernel lacks keep only their readers from working. */
function describeTypes({ kernel }: WindowsGuest, evidence: string): string {
  const missing = listMissingMembers(kernel.types);
  return missing.length === 0 ? evidence : `${evidence}; without ${describeList(missing)}`;
}

function lookAtProcesses(guest: WindowsGuest): string {
  const processes = guest.getProcessList();
  const head = guest.kernel.symbol("PsActiveProcessHead");
  return `${describeList(processes.map(({ pid, name }) => `${name} (${pid})`))}, from PsActiveProcessHead at 0x${head.toString(16)}`;
}

function lookAtRanges(guest: WindowsGuest): string | undefined {
  const process = findProgram(guest);
  return process && `${process.name} (${process.pid}): ${process.memoryMap.length} ranges`;
}

function lookAtPrograms(guest: WindowsGuest): string | undefined {
  const process = findProgram(guest);
  if (!process) return undefined;
  const modules = process.modules.map(({ name, base }) => `${name} at 0x${base.toString(16)}`);
  return `${process.name} (${process.pid}, pgd 0x${process.pgd.toString(16)}): ${describeList(modules)}`;
}

/** Things that are known from several places must be the same in all: what differs is hidden, changed, or read wrongly. */
function lookAtAgreement(guest: WindowsGuest): string {
  const { kernel } = guest;
  const views = guest.compareProcessViews();
  const services = guest.getServices();
  const modules = guest.getKernelModules();
  const problems = [
    ...views
      .filter(({ views: found }) => !found.includes("list"))
      .map(({ pid, name }) => `${name} (${pid}) is in no list`),
    ...views
      .filter(({ views: found, hasEnded }) => !hasEnded && !found.includes("numbers"))
      .map(({ pid, name }) => `${name} (${pid}) has no number`),
    ...services
      .filter(({ isForeign }) => isForeign)
      .map(({ number }) => `system call 0x${number.toString(16)} leads elsewhere`),
    ...modules.filter(({ base }) => !hasHeader(kernel, base)).map(({ name }) => `${name} has no header`),
  ];
  if (problems.length > 0) {
    const head = kernel.symbol("PsActiveProcessHead");
    throw new KernelDataError("the kernel's lists", head, `they do not agree: ${describeList(problems)}`);
  }
  return `${views.length} processes by list and by number, ${services.length} system calls, ${modules.length} modules`;
}

/** The header of a driver may have been given back (INIT sections are); then there is nothing that could differ. */
function hasHeader({ memory }: WindowsGuest["kernel"], base: bigint): boolean {
  const bytes = memory.readSome(base, 2);
  return bytes.length < 2 || bytes.toString("latin1") === "MZ";
}

function findProgram(guest: WindowsGuest) {
  return guest.getProcessList().find(({ isKernelThread, pgd }) => !isKernelThread && pgd !== 0n);
}
