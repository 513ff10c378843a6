import { ALL_PROCESSES } from "../../../../machine/state/processes";
import { findPa } from "../../../../machine/state/memory";
import { findFirstHit, findLastHit, listPastHits, type PastHit } from "../../../../guest/breakpoints/past-hits";
import { askInParts, chooseJobs } from "../../../../guest/breakpoints/past-parts";
import type { BreakpointPlace } from "../../../../guest/breakpoints/code-hooks";
import { findReplayedRecording, getRecordedInstructions } from "../../../../machine/recording/recorded-instructions";
import { goTo } from "../../../../machine/recording/travel";
import { type Command, type CommandInput, defineCommand } from "../../command";
import { CommandError } from "../../../errors";
import type { CommandResult } from "../../command-result";
import type { CommandSession } from "../../command-session";
import { getSize, type MemoryRange, parseRange } from "../../arguments/memory-place";
import { pauseReplay } from "../../replay-place";

const MOST_SHOWN = 100;
const LARGEST_SIZE = 0x1000;
/** Between two looks whether somebody has ended a search, in milliseconds. */
const LOOK_MS = 200;
const TYPES = { written: "physical-write", read: "physical-read", executed: "execution" } as const;
type What = keyof typeof TYPES;

/**
 * Makes the place to look at. Memory is looked at by its guest-physical address as it is now: whoever wrote it, by whatever address,
 * is found, also where that was another process.
 */
function makePlace(what: What, range: MemoryRange, session: CommandSession): BreakpointPlace {
  const { isPhysical, address } = range;
  const size = getSize(range, 1, LARGEST_SIZE);
  if (what === "executed") {
    if (isPhysical) throw new CommandError("code is looked for by its virtual address");
    const isKernel = address >= (session.pointerSize === 8 ? 1n << 63n : 0xc0000000n);
    return { type: "execution", address, size, pgd: isKernel || !session.process ? ALL_PROCESSES : session.pgd };
  }
  const physical = isPhysical ? address : findPa(session.pgd, address);
  if (physical === undefined) {
    throw new CommandError(
      `nothing is mapped at 0x${address.toString(16)} here; choose the process by proc, or go to where it is`,
    );
  }
  if ((address & 0xfffn) + BigInt(size) > 0x1000n) {
    throw new CommandError("memory is looked for within one page: take a smaller size");
  }
  return { type: TYPES[what], address: physical, size, pgd: ALL_PROCESSES };
}

function parseWhat(input: CommandInput, session: CommandSession): { what: What; range: MemoryRange } {
  const what = input.get("written, read or executed");
  if (!Object.hasOwn(TYPES, what)) throw new CommandError(`${input.command} is followed by written, read or executed`);
  return { what: what as What, range: parseRange(input.get("an address"), session) };
}

/** Names a hit's place in the code as it is where the replay is now. */
function describeHit({ count, pc, process, pid, address, size, value, pgd }: PastHit, session: CommandSession) {
  const symbol = session.createNamer().find(pc);
  const by = process === undefined ? `0x${pgd.toString(16)}` : `${process}:${pid}`;
  return { count, pc, symbol, process: by, address: size === 0 ? undefined : address, size: size || undefined, value };
}

async function listHits(
  what: What,
  range: MemoryRange,
  session: CommandSession,
  command: string,
): Promise<CommandResult> {
  const here = await pauseReplay(session, command);
  const place = makePlace(what, range, session);
  try {
    const { hits, total } = await findHits(what, place, here, session);
    if (session.isInterrupted) throw new CommandError("the search was ended");
    await goTo(here);
    session.listedHits = hits.map(({ count }) => count);
    const columns = ["count", "pc", "symbol", "process", ...(what === "executed" ? [] : ["address", "size", "value"])];
    const note =
      total === 0
        ? `it is never ${what} in this recording`
        : total > hits.length
          ? `these are the last ${hits.length} of ${total} times`
          : undefined;
    return { kind: "rows", columns, rows: hits.map((hit) => describeHit(hit, session)), note };
  } finally {
    await goTo(here);
  }
}

/** Finds the last hits in the whole recording, and how many there are: by processes that look through parts of it, where that is quicker. */
async function findHits(
  what: What,
  place: BreakpointPlace,
  here: number,
  session: CommandSession,
): Promise<{ readonly hits: readonly PastHit[]; readonly total: number }> {
  const recording = findReplayedRecording();
  const jobs = recording?.jobs ?? chooseJobs(recording?.instructions ?? 0);
  if (recording === undefined || what === "executed" || jobs === 1) {
    return listPastHits(place, recording?.instructions ?? here, MOST_SHOWN);
  }
  const options = [`--when-${what}`, `p${place.address.toString(16)}:${place.size.toString(16)}`];
  const end = new AbortController();
  const timer = setInterval(() => (session.isInterrupted ? end.abort() : undefined), LOOK_MS);
  let [hits, total]: [PastHit[], number] = [[], 0];
  try {
    for await (const hit of askInParts({ ...recording, options, jobs }, end.signal)) {
      total++;
      hits.push(hit);
      if (hits.length >= 2 * MOST_SHOWN) hits = hits.slice(-MOST_SHOWN);
    }
  } catch (error) {
    throw session.isInterrupted ? new CommandError("the search was ended") : error;
  } finally {
    clearInterval(timer);
  }
  return { hits: hits.slice(-MOST_SHOWN), total };
}

async function goToHit(
  what: What,
  range: MemoryRange,
  session: CommandSession,
  which: "first" | "last",
): Promise<CommandResult> {
  const here = await pauseReplay(session, which);
  const place = makePlace(what, range, session);
  const hit =
    which === "first"
      ? await findFirstHit(place, getRecordedInstructions() ?? here)
      : await findLastHit(place, here, () => !session.isInterrupted);
  await goTo(hit?.count ?? here);
  if (!hit) {
    const nothing =
      which === "first" ? `it is never ${what} in this recording` : `it was not ${what} before this place`;
    throw new CommandError(session.isInterrupted ? "the search was ended" : nothing);
  }
  session.pastPlaces.push(here);
  session.cpuIndex = hit.cpuIndex;
  const { count, pc, symbol, process, ...access } = describeHit(hit, session);
  const at = `0x${pc.toString(16)}${symbol === undefined ? "" : ` ${symbol}`}`;
  const value = access.value === undefined ? "" : `, ${access.size} bytes = 0x${access.value.toString(16)}`;
  const text = `instruction ${count}: ${what} by ${process} at ${at}${value}`;
  return { kind: "data", text, data: { count, pc, symbol, process, ...access } };
}

export const HISTORY_COMMANDS: readonly Command[] = [
  ...(["when-written", "when-read", "when-executed"] as const).map((name) =>
    defineCommand({
      name,
      isForLiving: true,
      usage: "ADDRESS[:SIZE]",
      help: `Lists when in the whole recording ${name === "when-executed" ? "this code was executed" : `this memory was ${name.slice(5)}, by whatever address`}: count of instructions, code and process. The replay stays where it is.`,
      parse: (input, session) => parseRange(input.get("an address"), session),
      run: (range, session) => listHits(name.slice(5) as What, range, session, name),
    }),
  ),
  ...(["first", "last"] as const).map((name) =>
    defineCommand({
      name,
      isForLiving: true,
      usage: "written|read|executed ADDRESS[:SIZE]",
      help: `Goes to the ${name} time that this memory is written or read, by whatever address, or this code is executed${name === "last" ? ", before this place" : ""}: before the instruction that does it.`,
      parse: parseWhat,
      run: ({ what, range }, session) => goToHit(what, range, session, name),
    }),
  ),
];
