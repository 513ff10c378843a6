import { findInstructionCount, getInstructionCount } from "../../../machine/state/instruction-count";
import { Engine } from "../../../machine/engine/engine";
import { getRecordedInstructions } from "../../../machine/recording/recorded-instructions";
import { findStillMachine } from "../../../machine/state/machine-access";
import { type Command, defineCommand } from "../command";
import { CommandError } from "../../errors";
import type { CommandResult } from "../command-result";
import type { CommandSession } from "../command-session";
import { resumeUntilPaused } from "../pausing-breakpoint";

/** Counts are printed and read as decimal numbers, unlike addresses. */
const COUNT = /^(\+?)(\d{1,16})$/;

function describePlace(session: CommandSession): CommandResult {
  const engine = Engine.get();
  const instructions = findInstructionCount();
  const { recording } = engine;
  const total = recording === "replaying" ? getRecordedInstructions() : undefined;
  const address = session.codeAddress;
  const symbol = session.createNamer().find(address);
  const counted =
    instructions === undefined
      ? "the machine does not count its instructions"
      : `instruction ${instructions}${total === undefined ? "" : ` of ${total}`}`;
  const place = `0x${address.toString(16)}${symbol === undefined ? "" : `, ${symbol}`}`;
  const text = `${counted}; vCPU ${session.cpuIndex} at ${place}; the guest is ${recording ?? "not recorded"}, ${engine.state}`;
  return { kind: "data", text, data: { instructions, of: total, address, symbol, recording, state: engine.state } };
}

export const REPLAY_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "where",
    isForLiving: true,
    help: "Tells where the guest is: how many instructions it has executed, and at which address it is.",
    parse: (input) => input.end(),
    run: (_, session) => {
      if (findStillMachine()) throw new CommandError("this is an image: it is nowhere in time");
      return describePlace(session);
    },
  }),
  defineCommand({
    name: "goto",
    isForLiving: true,
    usage: "COUNT | +COUNT",
    help: "Lets a replay go on until that many instructions were executed, in decimal; +COUNT is from here.",
    parse: (input) => {
      const [, sign, digits] = COUNT.exec(input.get("a count of instructions")) ?? [];
      if (digits === undefined)
        throw new CommandError("goto takes a decimal count of instructions: goto 1000000, goto +1");
      return { isFromHere: sign === "+", count: Number(digits) };
    },
    run: async ({ isFromHere, count }, session) => {
      const engine = Engine.get();
      if (engine.recording !== "replaying") {
        throw new CommandError("goto needs a replay, where the counts are known: rebox replay FOLDER --shell");
      }
      if (engine.state === "running") await engine.pause();
      const here = getInstructionCount();
      const target = isFromHere ? here + count : count;
      const total = getRecordedInstructions();
      if (target < here) {
        throw new CommandError(
          `instruction ${target} lies behind: this replay is at ${here}; start it anew to go back`,
        );
      }
      if (total !== undefined && target > total) {
        throw new CommandError(`the recording ends at instruction ${total}, before ${target}`);
      }
      if (target > here) {
        await engine.qmp("replay-break", { icount: target });
        await resumeUntilPaused(session);
        // Something else may have paused it before.
        await engine.qmp("replay-delete-break").catch(() => undefined);
      }
      return describePlace(session);
    },
  }),
];
