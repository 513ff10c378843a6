import { Engine } from "../../../machine/engine/engine";
import {
  ALL_PROCESSES,
  getRunningProcess,
  startMonitoringProcess,
  stopMonitoringProcess,
} from "../../../machine/state/processes";
import { findFramesOfCpu } from "../../../guest/unwinding/guest-backtrace";
import type { StackFrame } from "../../../guest/unwinding/stack-frame";
import { type Command, defineCommand } from "../command";
import { CommandError } from "../../errors";
import type { CommandResult } from "../command-result";
import type { CommandSession } from "../command-session";
import { Disassembler } from "../../../guest/unwinding/disassembler";
import { evaluate } from "../arguments/expression";
import { unwindPlainly } from "../arguments/plain-backtrace";
import { readGuestBytes } from "../arguments/memory-place";
import { StepCounter } from "../../../guest/unwinding/step-counter";
import { resumeUntilPaused, setPausingBreakpoint } from "../pausing-breakpoint";

const LONGEST_INSTRUCTION = 15;
const MOST_STEPS = 1_000_000n;

function checkStands(session: CommandSession): void {
  if (Engine.get().state !== "paused" && !session.release) {
    throw new CommandError("the guest runs: pause it first, or set a breakpoint");
  }
}

function decodeCurrent(session: CommandSession) {
  const address = session.codeAddress;
  const memory = readGuestBytes(
    { isPhysical: false, address },
    getRunningProcess(session.cpuIndex),
    LONGEST_INSTRUCTION,
  );
  const end = memory.bytes.findIndex((_, index) => !memory.has(index));
  const [instruction] = new Disassembler(session.codeBits).decode(
    memory.bytes.subarray(0, end < 0 ? undefined : end),
    address,
    1,
  );
  return instruction;
}

function showPlace(session: CommandSession): CommandResult {
  const address = session.codeAddress;
  const symbol = session.createNamer().find(address);
  const instruction = decodeCurrent(session)?.text;
  const text = `0x${address.toString(16)}${symbol === undefined ? "" : ` ${symbol}`}  ${instruction ?? "??"}`;
  return { kind: "data", text, data: { address, symbol, instruction } };
}

/** Lets the chosen vCPU begin the given number of further instructions. */
async function stepInstructions(session: CommandSession, count: bigint): Promise<void> {
  const { cpuIndex, callbacks } = session;
  const counter = new StepCounter(session.cpu, session.codeBits, count);
  let isDone = false;
  startMonitoringProcess(ALL_PROCESSES);
  const name = callbacks.addCallback("INSN_BEGIN_CB", (index) => {
    if (isDone || index !== cpuIndex || !counter.begin()) return undefined;
    isDone = true;
    return Engine.get().pause();
  });
  try {
    await resumeUntilPaused(session);
  } finally {
    if (callbacks.callbackExists(name)) callbacks.rmCallback(name);
    stopMonitoringProcess(ALL_PROCESSES);
  }
}

/** Lists the frames of what the vCPU executes. */
function unwind(session: CommandSession): readonly StackFrame[] {
  return findFramesOfCpu(session.cpu) ?? unwindPlainly(session);
}

/** Runs to an address in the address space that the vCPU runs in, where the condition holds. */
async function runTo(session: CommandSession, place: bigint, condition?: () => boolean): Promise<void> {
  const pgd = getRunningProcess(session.cpuIndex);
  const breakpoint = setPausingBreakpoint(session, place, pgd, condition ? { condition } : {});
  try {
    await resumeUntilPaused(session);
  } finally {
    breakpoint.delete();
  }
}

export const STEP_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "step",
    isForLiving: true,
    aliases: ["si", "t"],
    usage: "[COUNT]",
    help: "Executes one instruction of the chosen vCPU, or COUNT. Interrupts and faults in between are passed over in 64-bit mode, and stepped into in others.",
    parse: (input, session) => {
      const text = input.find();
      const count = text === undefined ? 1n : evaluate(text, session);
      if (count < 1n || count > MOST_STEPS)
        throw new CommandError(`step takes 1 to 0x${MOST_STEPS.toString(16)} instructions`);
      return count;
    },
    run: async (count, session) => {
      checkStands(session);
      await stepInstructions(session, count);
      return showPlace(session);
    },
  }),
  defineCommand({
    name: "next",
    isForLiving: true,
    aliases: ["ni"],
    help: "Executes one instruction; a call is executed until it has returned.",
    parse: (input) => input.end(),
    run: async (_, session) => {
      checkStands(session);
      const instruction = decodeCurrent(session);
      const { RSP } = session.cpu;
      if (instruction?.isCall !== true) await stepInstructions(session, 1n);
      // The same code may be called anew from within: that has a lower stack.
      else await runTo(session, instruction.address + BigInt(instruction.size), () => session.cpu.RSP >= RSP);
      return showPlace(session);
    },
  }),
  defineCommand({
    name: "finish",
    isForLiving: true,
    help: "Lets the guest go on until the present function has returned. Needs a caller that is known for certain: see bt.",
    parse: (input) => input.end(),
    run: async (_, session) => {
      checkStands(session);
      const { RSP } = session.cpu;
      const [, caller] = unwind(session);
      if (!caller || caller.method === "heuristic") {
        throw new CommandError(
          "the caller is not known for certain: choose one from bt, and go there by until ADDRESS",
        );
      }
      await runTo(session, caller.address, () => session.cpu.RSP > RSP);
      return showPlace(session);
    },
  }),
  defineCommand({
    name: "until",
    isForLiving: true,
    aliases: ["g"],
    usage: "ADDRESS",
    help: "Lets the guest go on until the address is reached, in the address space that the vCPU runs in.",
    parse: (input, session) => evaluate(input.get("an address"), session),
    run: async (address, session) => {
      checkStands(session);
      await runTo(session, address);
      return showPlace(session);
    },
  }),
];
