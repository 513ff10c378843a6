import { Engine } from "../../machine/engine/engine";
import { getRecordedInstructions } from "../../machine/recording/recorded-instructions";
import { goTo } from "../../machine/recording/travel";
import { findInstructionCount, getInstructionCount } from "../../machine/state/instruction-count";
import { CommandError } from "../errors";
import type { CommandResult } from "./command-result";
import type { CommandSession } from "./command-session";

/** Between two looks whether a script that is loaded holds itself by a shell, in milliseconds. */
const LOOK_MS = 50;

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
  await waitForScripts(session, command);
  if (engine.state === "running") await engine.pause();
  // A callback in which the session was opened has nothing to hold any more.
  session.release?.();
  return getInstructionCount();
}

/** Waits until scripts that are loaded just now can be told of all that is on the way. Ctrl-C ends that. */
async function waitForScripts(session: CommandSession, command: string): Promise<void> {
  const engine = Engine.get();
  if (engine.hasBegun) return;
  if (session.isWaitedFor) {
    throw new CommandError(
      `${command} has to wait for the script that has opened this shell, and that waits for the shell: leave it by cont`,
    );
  }
  const begins = engine.pauseAtBeginning();
  // A script may hold itself by a shell, now or in a moment: what is waited for would never be there.
  const release = () => session.release?.();
  release();
  const looks = setInterval(release, LOOK_MS);
  const isEnded = new Promise<never>((_, reject) => {
    session.cancel = () => reject(new CommandError("the wait for the scripts was ended; the guest will begin paused"));
  });
  try {
    await Promise.race([begins, isEnded]);
  } finally {
    clearInterval(looks);
    session.cancel = undefined;
  }
}

/** Moves a paused replay, and remembers where it was. */
export async function travel(session: CommandSession, count: number): Promise<CommandResult> {
  const here = getInstructionCount();
  await goTo(count);
  if (getInstructionCount() !== here) session.pastPlaces.push(here);
  return describePlace(session);
}
