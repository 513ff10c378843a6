import { findLastBreakpoint, findLastHit, type PastHit } from "../../../../guest/breakpoints/past-hits";
import { breakpoints } from "../../../../guest/breakpoints/breakpoint-list";
import { findFramesOfCpu } from "../../../../guest/unwinding/guest-backtrace";
import { getRecordedInstructions } from "../../../../machine/recording/recorded-instructions";
import { goTo } from "../../../../machine/recording/travel";
import { findPa } from "../../../../machine/state/memory";
import { ALL_PROCESSES, getRunningProcess } from "../../../../machine/state/processes";
import { unwindPlainly } from "../../arguments/plain-backtrace";
import { type Command, type CommandInput, defineCommand } from "../../command";
import { CommandError } from "../../../errors";
import type { CommandResult } from "../../command-result";
import type { CommandSession } from "../../command-session";
import { describePlace, pauseReplay, travel } from "../../replay-place";

/** Counts are printed and read as decimal numbers, unlike addresses. */
const COUNT = /^([+-]?)(\d{1,16})$/;

function readSteps(input: CommandInput): number {
  const steps = Number(COUNT.exec(input.find() ?? "1")?.[2] ?? 0);
  if (steps < 1) throw new CommandError(`${input.command} takes a decimal number of instructions, from 1`);
  return steps;
}

/** Goes to a place that a search has found, or back to where it began. */
async function goToHit(
  session: CommandSession,
  here: number,
  hit: PastHit | undefined,
  nothing: string,
): Promise<CommandResult> {
  if (hit) {
    await goTo(hit.count);
    session.pastPlaces.push(here);
    return describePlace(session);
  }
  await goTo(here);
  throw new CommandError(session.isInterrupted ? "the search was ended" : nothing);
}

export const TRAVEL_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "goto",
    isForLiving: true,
    usage: "COUNT | +COUNT | -COUNT | end | MARK",
    help: "Goes to the place in a replay where that many instructions were executed, in decimal; +COUNT and -COUNT are from here, MARK was named by mark.\nOn ground that was covered before, scripts are not told of events again, and breakpoints do not stop.",
    parse: (input, { marks }) => {
      const text = input.get("a count of instructions");
      if (text === "end") return undefined;
      const marked = marks.get(text);
      if (marked !== undefined) return { sign: "", count: marked };
      const [, sign = "", digits] = COUNT.exec(text) ?? [];
      if (digits === undefined)
        throw new CommandError(
          "goto takes a decimal count of instructions, end, or a mark: goto 1000000, goto +1, goto -1",
        );
      return { sign, count: Number(digits) };
    },
    run: async (wanted, session) => {
      const here = await pauseReplay(session, "goto");
      const total = getRecordedInstructions();
      const { sign, count } = wanted ?? { sign: "", count: total ?? here };
      const target = sign === "+" ? here + count : sign === "-" ? here - count : count;
      if (target < 0)
        throw new CommandError(`instruction ${target} lies before the beginning: this replay is at ${here}`);
      if (total !== undefined && target > total) {
        throw new CommandError(`the recording ends at instruction ${total}, before ${target}`);
      }
      return travel(session, target);
    },
  }),
  defineCommand({
    name: "back",
    isForLiving: true,
    help: "Goes back to the place where a replay was before the last command that moved it through time.",
    parse: (input) => input.end(),
    run: async (_, session) => {
      await pauseReplay(session, "back");
      const place = session.pastPlaces.pop();
      if (place === undefined)
        throw new CommandError("there is no place to go back to: nothing has moved the replay yet");
      const result = await travel(session, place);
      session.pastPlaces.pop();
      return result;
    },
  }),
  defineCommand({
    name: "reverse-step",
    isForLiving: true,
    aliases: ["rsi"],
    usage: "[COUNT]",
    help: "Goes back by one instruction of a replay, or by COUNT, in decimal.",
    parse: readSteps,
    run: async (steps, session) => {
      const here = await pauseReplay(session, "reverse-step");
      if (steps > here) throw new CommandError(`only ${here} instructions were executed before this one`);
      return travel(session, here - steps);
    },
  }),
  defineCommand({
    name: "reverse-continue",
    isForLiving: true,
    aliases: ["rc"],
    help: "Goes back to where a breakpoint of this list (bl) was hit last: at an instruction, or before one that accesses memory.",
    parse: (input) => input.end(),
    run: async (_, session) => {
      const here = await pauseReplay(session, "reverse-continue");
      if (!breakpoints.list().some(({ isEnabled }) => isEnabled)) {
        throw new CommandError("there is no breakpoint to go back to: set one by bp, bpr or bpw");
      }
      const hit = await findLastBreakpoint(here, () => !session.isInterrupted);
      if (hit) session.cpuIndex = hit.cpuIndex;
      return goToHit(session, here, hit, "no breakpoint was hit before");
    },
  }),
  defineCommand({
    name: "reverse-finish",
    isForLiving: true,
    help: "Goes back to the call of the present function. Needs a caller that is known for certain: see bt.",
    parse: (input) => input.end(),
    run: async (_, session) => {
      const here = await pauseReplay(session, "reverse-finish");
      const slot = findReturnSlot(session);
      const physical = findPa(getRunningProcess(session.cpuIndex), slot);
      if (physical === undefined) throw new CommandError("the stack of this function cannot be read");
      const place = { type: "physical-write", address: physical, size: 1, pgd: ALL_PROCESSES } as const;
      const hit = await findLastHit(place, here, () => !session.isInterrupted);
      return goToHit(session, here, hit, "the call of this function is not in the recording");
    },
  }),
];

/** Finds where on the stack the address lies to which the present function returns: its call wrote it there. */
function findReturnSlot(session: CommandSession): bigint {
  const frames = findFramesOfCpu(session.cpu) ?? unwindPlainly(session);
  const [, caller] = frames;
  // A frame that was saved is that of interrupted code, which has called nothing.
  if (!caller || caller.method === "heuristic" || caller.method === "saved") {
    throw new CommandError(
      "the caller is not known for certain: choose a place from bt, and go to its last execution by last executed ADDRESS",
    );
  }
  return caller.stackPointer - BigInt(session.pointerSize);
}
