import { getGuest } from "../../../guest/guest";
import { getRunningProcess } from "../../../machine/state/processes";
import type { LinuxGuest } from "../../../systems/linux/linux-guest";
import { AddressNamer } from "../address-namer";
import { Backtrace } from "../../../guest/unwinding/backtrace";
import { type Command, defineCommand } from "../command";
import { CommandError } from "../command-error";
import type { CommandSession } from "../command-session";
import { getProcess } from "../process-choice";
import type { FrameRegisters } from "../../../guest/unwinding/stack-frame";

/** What the scheduler has pushed onto the stack of a task that does not run (struct inactive_task_frame). */
function readSaved(guest: LinuxGuest, task: bigint): FrameRegisters {
  const { kernel } = guest;
  const { memory } = kernel;
  const sp = memory.pointer(task + BigInt(kernel.offset("task_struct", "thread.sp")));
  const member = (name: string) => sp + BigInt(kernel.offset("inactive_task_frame", name));
  const end = sp + BigInt(kernel.sizeOf("inactive_task_frame"));
  return { ip: memory.pointer(member("ret_addr")), sp: end, bp: memory.pointer(member("bp")), isExact: false };
}

function readRunning(session: CommandSession): FrameRegisters {
  const { RIP, RSP, RBP } = session.cpu;
  return { ip: RIP, sp: RSP, bp: RBP, isExact: true };
}

export const BACKTRACE_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "bt",
    aliases: ["k", "backtrace"],
    usage: "[PROCESS]",
    help: "Lists the functions that are being executed: by the vCPU, or by the first thread of a process that does not run now.\nThe column says how a frame was found: a heuristic one need not be one. In user mode callers are found in programs that keep a frame pointer.",
    parse: (input) => input.find(),
    run: (text, session) => {
      const guest = getGuest();
      const process = text === undefined ? undefined : getProcess(text, session);
      // Without a process it is about the vCPU, whatever process the session looks at.
      const pgd = process ? process.pgd : (guest.findProcess(getRunningProcess(session.cpu.index))?.pgd ?? 0n);
      const user = pgd === 0n ? guest.kernel.memory : guest.kernel.space(pgd);
      const isRunning = process !== undefined && isOnCpu(guest, process.kaddr);
      if (process && isRunning)
        throw new CommandError(`process ${process.pid} runs on a vCPU now: choose that by setcpu, then bt`);
      const start = process ? readSaved(guest, process.kaddr) : readRunning(session);
      const frames = new Backtrace(guest, user).unwind(start, process ? "saved" : "registers");
      const namer = new AddressNamer(guest, pgd);
      const rows = frames.map(({ address, stackPointer, method }, frame) => ({
        ...{ frame, address, method, symbol: namer.find(address) },
        stack: stackPointer,
      }));
      return { kind: "rows", columns: ["frame", "address", "stack", "method", "symbol"], rows };
    },
  }),
];

/** task_struct.on_cpu: set while a vCPU executes the task; only in kernels for several vCPUs. */
function isOnCpu(guest: LinuxGuest, task: bigint): boolean {
  const place = guest.kernel.findMember("task_struct", "on_cpu");
  return place !== undefined && guest.kernel.readValue(task, place) !== 0n;
}
