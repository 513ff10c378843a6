import { setTimeout as sleep } from "node:timers/promises";
import { waitAtMost } from "../../config/limits";
import { AnalysisError, GuestGoneError, NotSupportedError, WayInError } from "../errors";
import { ASKING_WAYS, type LabMachine, type WayName } from "../machinery/records/lab-machine";
import type { Lab } from "../lab";
import { findAgentAddress } from "./agent-address";
import { AgentWay } from "./agent-way";
import { type ConsoleAccess, ConsoleWay } from "./console-way";
import { GuestAgentWay } from "./guest-agent-way";
import type { GuestWay } from "./guest-way";
import { WindowsAgent } from "./windows-agent";

/**
 * The guest agent is asked alone for so long, in milliseconds: an answer costs the guest least there. A shell that is typed at and an
 * agent that is given files have programs run, which a guest that was frozen executes slowly at first.
 */
const HEAD_START_MS = 500;
/** Between two looks whether the machine is still on, in milliseconds. */
const LOOK_MS = 1_000;
/** The drive of a machine that has its disc from the start. */
const FIXED_DRIVE = { insert: () => Promise.resolve(), remove: () => Promise.resolve() };
const ANOTHER = "another way in has answered";

/**
 * Opens a way into a machine that runs: the one of its setting `way_in`, or the one that answers first.
 *
 * @param limitMs how long it may take: the guest may boot in it
 * @param hasDisc the machine has the disc already, and no drive can be plugged in
 * @throws GuestGoneError when the machine goes off before; AnalysisError that says what has not answered, and why
 */
export async function openWay(
  lab: Lab,
  machine: LabMachine,
  limitMs: number,
  signal: AbortSignal,
  hasDisc = false,
): Promise<GuestWay> {
  const { wayIn = "auto" } = machine.facts;
  const names = wayIn === "auto" ? ASKING_WAYS : [wayIn];
  const race = new AbortController();
  const own = AbortSignal.any([signal, race.signal]);
  const open = (name: WayName) => openOne(name, lab, machine, limitMs, own, hasDisc);
  const agent = names.includes("guest-agent") ? open("guest-agent") : undefined;
  const openings = names.map((name) => {
    if (name === "guest-agent") return { name, opened: agent! };
    return { name, opened: agent === undefined ? open(name) : openAfter(agent, () => open(name), own) };
  });
  try {
    return await Promise.race([takeFirst(openings, signal), watchMachine(lab, machine, own)]);
  } finally {
    race.abort(new WayInError(ANOTHER));
  }
}

/**
 * Opens the way into a machine with Windows that runs: its agent.
 *
 * @param limitMs how long it may take: the guest may boot in it
 * @throws GuestGoneError when the machine goes off before; AnalysisError that says what has not answered, and why
 */
export async function openWindowsAgent(
  lab: Lab,
  machine: LabMachine,
  limitMs: number,
  signal: AbortSignal,
): Promise<WindowsAgent> {
  const race = new AbortController();
  const own = AbortSignal.any([signal, race.signal]);
  const machinery = lab.manager.getMachinery(machine);
  const open = async () => WindowsAgent.open(await findAgentAddress(machinery, machine, own), limitMs, own);
  try {
    return await Promise.race([open(), watchMachine(lab, machine, own)]);
  } finally {
    race.abort(new WayInError(ANOTHER));
  }
}

/** Opens a way when another has not answered within its head start. @throws WayInError when it has */
async function openAfter(
  first: Promise<GuestWay>,
  open: () => Promise<GuestWay>,
  signal: AbortSignal,
): Promise<GuestWay> {
  const outcome = await waitAtMost(first, HEAD_START_MS, signal).catch(() => "failed");
  signal.throwIfAborted();
  if (outcome === "settled") throw new WayInError(ANOTHER);
  return open();
}

interface Opening {
  readonly name: WayName;
  readonly opened: Promise<GuestWay>;
}

/** Takes the way that is open first; others that open after all are closed. */
async function takeFirst(openings: readonly Opening[], signal: AbortSignal): Promise<GuestWay> {
  let first: GuestWay | undefined;
  const failures = new Map<WayName, unknown>();
  try {
    return await Promise.any(
      openings.map(async ({ name, opened }) => {
        try {
          const way = await opened;
          if (first === undefined) first = way;
          else way.close();
          return first;
        } catch (error) {
          failures.set(name, error);
          throw error;
        }
      }),
    );
  } catch {
    signal.throwIfAborted();
    throw joinFailures(failures);
  }
}

/** Makes one error of those of all ways. Those that the machine does not have count only when it has none. */
function joinFailures(failures: ReadonlyMap<WayName, unknown>): Error {
  const all = [...failures];
  const tried = all.filter(([, error]) => !(error instanceof NotSupportedError));
  const gone = all.find(([, error]) => error instanceof GuestGoneError)?.[1];
  if (gone !== undefined) return gone as GuestGoneError;
  const told = tried.length === 0 ? all : tried;
  const [only] = told;
  if (told.length === 1 && only![1] instanceof AnalysisError) return only![1];
  const text = told.map(([name, error]) => `${name}: ${error instanceof Error ? error.message : String(error)}`);
  return new WayInError(`no way into the guest: ${text.join("; ")}`);
}

/** Throws when the machine is off, which not every way notices. */
async function watchMachine(lab: Lab, machine: LabMachine, signal: AbortSignal): Promise<never> {
  for (;;) {
    await sleep(LOOK_MS, undefined, { signal });
    const { state } = await lab.manager.readState(machine.name, signal);
    if (state === "poweroff") throw new GuestGoneError("the machine went off before a way into it answered");
  }
}

async function openOne(
  name: WayName,
  lab: Lab,
  machine: LabMachine,
  limitMs: number,
  signal: AbortSignal,
  hasDisc: boolean,
): Promise<GuestWay> {
  const machinery = lab.manager.getMachinery(machine);
  switch (name) {
    case "console":
    case "keyboard": {
      const { console_user: user, console_password: password } = machine.facts.settings as Record<string, string>;
      const access: ConsoleAccess = {
        name,
        open: (own: AbortSignal) => machinery.openConsole(machine, own),
        user: user === undefined ? undefined : { name: user, password },
        drive: hasDisc
          ? FIXED_DRIVE
          : {
              insert: (path: string, own: AbortSignal) => machinery.insertDisc(machine, path, own),
              remove: (own: AbortSignal) => machinery.removeDisc(machine, own),
            },
      };
      if (name === "keyboard") access.typeKeys = (keys, own) => machinery.typeKeys(machine, keys, own);
      return ConsoleWay.open(access, limitMs, signal);
    }
    case "guest-agent":
      return GuestAgentWay.open(
        (command, args, ms, own) => machinery.callGuestAgent(machine, command, args, ms, own),
        limitMs,
        signal,
      );
    case "agent":
      return AgentWay.open(await findAgentAddress(machinery, machine, signal), limitMs, signal);
  }
}
