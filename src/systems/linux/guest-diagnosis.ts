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
import type { AttachOptions } from "./attach/attach";
import { describeCpus } from "./attach/attach-evidence";
import { attachGuest, STRANGE_KERNEL } from "./attach-guest";
import type { LinuxGuest } from "./linux-guest";
import type { LinuxProcess } from "./linux-process";

export type { DiagnosisStep, DiagnosisStepName, GuestDiagnosis };

const ATTACH_STEPS: readonly AttachStep[] = ["cpu", "image", "page-tables", "symbols", "banner", "types"];

/** Looks at a guest step by step, and says on what evidence each step succeeds or fails. It remembers nothing. */
export function diagnoseLinux(source: GuestSource, options: Pick<AttachOptions, "findProfile"> = {}): GuestDiagnosis {
  const found = new Map<DiagnosisStepName, DiagnosisStep>();
  const add = (name: DiagnosisStepName, status: DiagnosisStep["status"], evidence: string, advice = ""): void => {
    found.set(name, { name, status, evidence, advice });
  };
  let guest: LinuxGuest | undefined;
  let isEarly = false;
  try {
    guest = attachGuest(source, { ...options, trace: (step, evidence) => add(step, "ok", evidence) });
  } catch (error) {
    if (!(error instanceof AttachError)) throw error;
    isEarly = error.isEarly;
    const registers = describeCpus(source.cpus());
    const isOfCpu = error.step === "cpu";
    // A step that was passed has its place, though the image, which is shown with it, was not found.
    if (!isOfCpu && !found.has("cpu")) add("cpu", "ok", registers);
    // The image is found by the page tables: their failure comes first, though they are shown behind it.
    for (const name of ATTACH_STEPS.slice(0, ATTACH_STEPS.indexOf(error.step))) {
      if (!found.has(name)) add(name, "skip", `needs the step ${error.step}`);
    }
    add(error.step, "fail", isOfCpu ? `${error.evidence}; ${registers}` : error.evidence, error.advice);
  }
  for (const name of ATTACH_STEPS) if (!found.has(name)) add(name, "skip", NOT_REACHED);
  const attached = guest;
  for (const [name, look] of LOOKS) {
    if (attached) found.set(name, { name, ...takeLook(() => look(attached), STRANGE_KERNEL) });
    else if (!found.has(name)) add(name, "skip", NOT_REACHED);
  }
  const order: readonly DiagnosisStepName[] = [...ATTACH_STEPS, ...LOOKS.map(([name]) => name)];
  const steps = order.map((name) => found.get(name)).filter((step) => step !== undefined);
  return { isHealthy: !steps.some(({ status }) => status === "fail"), isEarly, steps };
}

/** Looks at one thing; undefined when there is nothing to look at, because no program runs yet. */
type Look = (guest: LinuxGuest) => string | undefined;

const LOOKS: readonly (readonly [DiagnosisStepName, Look])[] = [
  ["processes", lookAtProcesses],
  ["memory maps", withProgram((process) => `${process.memoryMap.length} mappings`)],
  ["files", withProgram((process) => `${process.openFiles.length} open, ${process.sockets.length} of them sockets`)],
  [
    "mounts",
    withProgram((process) => describeList(process.mounts.map(({ path, fileSystem }) => `${path} (${fileSystem})`))),
  ],
  ["programs", lookAtPrograms],
  [
    "modules",
    (guest) => describeList(guest.getKernelModules().map(({ name, base }) => `${name} at 0x${base.toString(16)}`)),
  ],
  ["log", (guest) => `${guest.getKernelLog().length} records`],
  ["clock", ({ clock }) => new Date(Number(clock.realTimeNs / 1_000_000n)).toISOString()],
];

function lookAtProcesses(guest: LinuxGuest): string {
  const processes = guest.getProcessList();
  const head = guest.kernel.symbol("init_task");
  // The kernel makes its first processes last of all: there are some as soon as anything can be attached to for long.
  if (processes.length === 0) {
    throw new KernelDataError("the list of tasks", head, "it is empty: the kernel has started no process yet");
  }
  return `${describeList(processes.map(({ pid, name }) => `${name} (${pid})`))}, from init_task at 0x${head.toString(16)}`;
}

function lookAtPrograms(guest: LinuxGuest): string | undefined {
  const process = findProgram(guest);
  if (!process) return undefined;
  const modules = guest.symbols.getModules(process.pgd);
  return `${describe(process)}: ${describeList(modules.map(({ name, base }) => `${name} at 0x${base.toString(16)}`))}`;
}

function withProgram(look: (process: LinuxProcess) => string): Look {
  return (guest) => {
    const process = findProgram(guest);
    return process && `${describe(process)}: ${look(process)}`;
  };
}

function findProgram(guest: LinuxGuest): LinuxProcess | undefined {
  return guest.getProcessList().find(({ pgd }) => pgd !== 0n);
}

function describe({ name, pid, pgd }: LinuxProcess): string {
  return `${name} (${pid}, pgd 0x${pgd.toString(16)})`;
}
