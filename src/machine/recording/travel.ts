import { Engine } from "../engine/engine";
import { EngineUsageError } from "../errors";
import { findInstructionCount, getInstructionCount } from "../state/instruction-count";

/** A state is kept that many instructions before the end of a long way: steps back from there are short. */
const NEAR = 1_000_000;

/** The furthest count that was reached with everybody being told of the events. */
let seen = 0;

/** The count at which the replay is to be paused whenever it comes there by itself; undefined: nowhere. */
let stopCount: number | undefined;

/** How many ways in silence are under way, one within another. */
let silences = 0;

/** Where the last of them has ended: a question may have gone over ground of which nobody was told. */
let silentEnd: number | undefined;

/** Has the replay be paused at a count, also where it comes there once more. */
export async function stopAt(count: number): Promise<void> {
  stopCount = count;
  const engine = Engine.get();
  engine.native.stopGdbAt(count);
  await engine.qmp("replay-break", { icount: count });
}

/** Gets the furthest count that a replay has reached with everybody being told of the events. */
export function getFurthestCount(): number {
  const { native, travels } = Engine.get();
  const here = getInstructionCount();
  return Math.max(seen, native.wentBackFrom(), travels || here === silentEnd ? 0 : here);
}

/** Resumes a paused machine, and waits until it is paused again or over. */
export async function runUntilPaused(): Promise<void> {
  const engine = Engine.get();
  let stop: () => void = () => undefined;
  const subscriptions = [
    engine.on("paused", () => stop()),
    ...(["shutdown", "crashed"] as const).map((event) => engine.on(event, () => stop())),
  ];
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  try {
    await engine.resume();
    await stopped;
  } finally {
    for (const subscription of subscriptions) subscription.dispose();
  }
}

/**
 * Goes to a count of instructions in a replay that is paused. Ground that was covered before is passed in silence: scripts are not
 * told again of what they have been told, and breakpoints do not stop. Ahead of that the replay goes on as ever, and something may
 * pause it on the way.
 *
 * @returns where it is then
 * @throws EngineUsageError when it lies behind, and no states are kept
 */
export async function goTo(count: number): Promise<number> {
  seen = getFurthestCount();
  try {
    await goSilently(Math.min(count, seen));
    await runTo(count);
  } finally {
    await restoreStop();
  }
  return getInstructionCount();
}

/**
 * Replays a part of the past in silence: only breakpoints and callbacks that hear it (CallbackManager.hearTravel()) are told of its
 * events. The part in front of it is replayed too, from the nearest state on, with the same listeners.
 */
export async function replaySpan(from: number, to: number): Promise<void> {
  seen = getFurthestCount();
  try {
    await inSilence(async () => {
      await restoreBefore(from);
      await runTo(to);
    });
  } finally {
    await restoreStop();
  }
}

/** Lists the counts at which states are kept before a count, the last first. */
export function listStatesBefore(count: number): number[] {
  return Engine.get()
    .native.listStates()
    .filter((at) => at < count)
    .reverse();
}

async function goSilently(count: number): Promise<void> {
  const here = getInstructionCount();
  const { native } = Engine.get();
  const nearest = native.listStates().findLast((at) => at <= count);
  const isBehind = count < here;
  if (count === here) return;
  if (isBehind && nearest === undefined) {
    throw new EngineUsageError(
      `instruction ${count} lies behind: this replay is at ${here}, and keeps no states to go back to; start it with --states MB, or with a shell`,
    );
  }
  await inSilence(async () => {
    const start = isBehind || (nearest ?? 0) > here ? await restoreBefore(count) : here;
    if (count - start > 2 * NEAR) native.keepStateAt(count - NEAR);
    await runTo(count);
  });
}

async function restoreBefore(count: number): Promise<number> {
  const { count: reached } = (await Engine.get().qmp("restore-state", { count })) as { readonly count: number };
  return reached;
}

async function inSilence(work: () => Promise<void>): Promise<void> {
  const engine = Engine.get();
  silences++;
  engine.travels = true;
  try {
    await work();
  } finally {
    if (--silences === 0) {
      silentEnd = findInstructionCount();
      engine.travels = false;
    }
  }
}

/** A way to a place takes away where the replay was to be paused. */
async function restoreStop(): Promise<void> {
  const engine = Engine.get();
  if (stopCount === undefined || engine.recording !== "replaying" || engine.state !== "paused") return;
  if (stopCount > getInstructionCount()) await engine.qmp("replay-break", { icount: stopCount });
}

/** Runs until a count is reached, or something else pauses the machine. */
async function runTo(count: number): Promise<void> {
  if (getInstructionCount() >= count) return;
  const engine = Engine.get();
  await engine.qmp("replay-break", { icount: count });
  await runUntilPaused();
  // Something else may have paused it before.
  await engine.qmp("replay-delete-break").catch(() => undefined);
}
