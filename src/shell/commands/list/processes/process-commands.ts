import { getNumCpus } from "../../../../machine/state/cpu";
import { getSystem } from "../../../../guest/guest";
import { ALL_PROCESSES, isMonitoredProcess } from "../../../../machine/state/processes";
import type { Owned } from "../../../../machine/ownership/module-owner";
import { startMonitoringProcess, stopMonitoringProcess } from "../../../../machine/state/processes";
import { type Command, defineCommand } from "../../command";
import { CommandError } from "../../../errors";
import { textResult } from "../../command-result";
import type { CommandSession } from "../../command-session";
import { chooseProcess, findProcesses } from "../../arguments/process-choice";

const PS_COLUMNS = ["pid", "ppid", "pgd", "name", "task", "kind"];
const monitored = new WeakMap<CommandSession, Map<bigint, Owned>>();

/** Reads the address space that a user means: that of a process, or of all ("*"). */
function readSpace(text: string, session: CommandSession): { pgd: bigint; name: string } {
  if (text === "*") return { pgd: ALL_PROCESSES, name: "all processes" };
  const { pid, pgd, name } = chooseProcess(text, session);
  if (pid === undefined) return { pgd, name: `the address space ${name}` };
  if (pgd === 0n) throw new CommandError(`process ${pid} has no address space: it is the kernel's own, or has ended`);
  return { pgd, name: `${name} (${pid})` };
}

export const PROCESS_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "ps",
    usage: "[PROCESS]",
    help: "Lists the guest's processes, kernel threads included.\nPROCESS is a pid, a pgd in hexadecimal, or a name with * and ?.",
    parse: (input) => input.find(),
    run: (text, session) => {
      const processes = text === undefined ? getSystem().getProcessList() : findProcesses(text, session);
      const rows = processes.map(({ pid, ppid, pgd, name, kaddr, isKernelThread }) => ({
        ...{ pid, ppid, pgd, name, task: kaddr },
        kind: isKernelThread ? "kernel" : pgd === 0n ? "ended" : isMonitoredProcess(pgd) ? "monitored" : "user",
      }));
      const note = rows.length === 0 && text !== undefined ? `no process ${text}; the processes: ps` : undefined;
      return { kind: "rows", columns: PS_COLUMNS, rows, note };
    },
  }),
  defineCommand({
    name: "proc",
    usage: "[PROCESS | -]",
    help: 'Chooses the process whose memory and symbols commands mean; "-" for whatever the vCPU runs. Without PROCESS, tells it.',
    parse: (input) => input.find(),
    run: (text, session) => {
      if (text === "-") session.process = undefined;
      else if (text !== undefined) {
        session.process = chooseProcess(text, session);
      }
      const chosen = session.process;
      const shown = chosen
        ? `${chosen.pid === undefined ? "an address space" : `process ${chosen.pid} ${chosen.name}`}, pgd 0x${chosen.pgd.toString(16)}`
        : `no process is chosen; vCPU ${session.cpuIndex} runs in pgd 0x${session.pgd.toString(16)}`;
      return { kind: "data", text: shown, data: chosen ? { ...chosen } : { pgd: session.pgd } };
    },
  }),
  defineCommand({
    name: "setcpu",
    aliases: ["set_cpu"],
    usage: "INDEX",
    help: "Chooses the vCPU whose registers commands mean, from 0.",
    parse: (input) => {
      const text = input.get("the number of a vCPU");
      if (!/^\d+$/.test(text) || Number(text) >= getNumCpus()) {
        throw new CommandError(`there is no vCPU ${text}: the machine has ${getNumCpus()}, numbered from 0`);
      }
      return Number(text);
    },
    run: (index, session) => {
      session.cpuIndex = index;
      return textResult(`vCPU ${index}`);
    },
  }),
  defineCommand({
    name: "mon",
    isForLiving: true,
    usage: "PROCESS | *",
    help: "Monitors a process, or an address space of an unknown system: its blocks, instructions and accesses reach the callbacks. * is every process.",
    parse: (input, session) => readSpace(input.get("a process"), session),
    run: ({ pgd, name }, session) => {
      const own = monitored.get(session) ?? new Map<bigint, Owned>();
      monitored.set(session, own);
      if (own.has(pgd)) return textResult(`${name} is monitored by this shell already`);
      startMonitoringProcess(pgd);
      own.set(
        pgd,
        session.owner.own(() => void stopMonitoringProcess(pgd)),
      );
      return textResult(`${name} is monitored: pgd 0x${pgd.toString(16)}`);
    },
  }),
  defineCommand({
    name: "unmon",
    isForLiving: true,
    usage: "PROCESS | *",
    help: "Ends the monitoring that mon began in this shell. What scripts monitor stays.",
    parse: (input, session) => readSpace(input.get("a process"), session),
    run: ({ pgd, name }, session) => {
      const own = monitored.get(session);
      const owned = own?.get(pgd);
      if (!owned) throw new CommandError(`this shell does not monitor ${name}; what scripts monitor is theirs`);
      owned.release();
      own?.delete(pgd);
      stopMonitoringProcess(pgd);
      return textResult(`${name} is no longer monitored by this shell`);
    },
  }),
];
