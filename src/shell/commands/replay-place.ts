import { Engine } from "../../machine/engine/engine";
import { getRecordedInstructions } from "../../machine/recording/recorded-instructions";
import { goTo } from "../../machine/recording/travel";
import { findInstructionCount, getInstructionCount } from "../../machine/state/instruction-count";
import { CommandError } from "../errors";
import type { CommandResult } from "./command-result";
import type { CommandSession } from "./command-session";

/** Says where the guest is: the count of instructions, and the place in its code. */
export function describePlace(session: CommandSession): CommandResult {
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

/** Pauses a replay, where it is not yet, and tells the count. @throws CommandError when the machine is none */
export async function pauseReplay(session: CommandSession, command: string): Promise<number> {
  const engine = Engine.get();
  if (engine.recording !== "replaying") {
    throw new CommandError(`${command} needs a replay, where the counts are known: rebox replay FOLDER --shell`);
  }
  // Scripts that are loaded just now are to be told of all that is on the way.
  await engine.pauseAtBeginning();
  if (engine.state === "running") await engine.pause();
  // A callback in which the session was opened has nothing to hold any more.
  session.release?.();
  return getInstructionCount();
}

/** Moves a paused replay, and remembers where it was. */
export async function travel(session: CommandSession, count: number): Promise<CommandResult> {
  const here = getInstructionCount();
  await goTo(count);
  if (getInstructionCount() !== here) session.pastPlaces.push(here);
  return describePlace(session);
}
