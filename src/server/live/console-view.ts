import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Machinery } from "../../lab/machinery/machinery";
import type { LabMachine } from "../../lab/machinery/records/lab-machine";
import { ConflictError } from "../errors";
import { followFile } from "./follow-file";
import { endView, GOES_ON, GONE_OFF, joinViewer, type LiveTarget } from "./live-views";

/** Of what the machine has written before somebody looks, in bytes. */
const HISTORY = 64 << 10;
/** The time between two looks whether the machine is still on, in milliseconds. */
const LOOK_MS = 2_000;
const STATE_LIMIT_MS = 10_000;

/** A look at a machine's serial console. */
export interface ConsoleView {
  readonly socket: WebSocket;
  readonly machine: LabMachine;
  readonly machinery: Machinery;
  /** Whether what the viewer types reaches the machine. */
  readonly mayType: boolean;
  readonly target: LiveTarget;
  /** Aborted when the viewer is gone. */
  readonly closing: AbortSignal;
  /** Ends the opening. */
  readonly signal: AbortSignal;
}

/**
 * Shows what a machine writes on its serial console, out of its log, so that an analysis which types there is not disturbed.
 *
 * @throws ConflictError when the console cannot be taken, or there is nothing to look at
 */
export async function openConsoleView(view: ConsoleView): Promise<void> {
  const { socket, machine, machinery, mayType } = view;
  const log = machinery.findConsoleLog(machine);
  if (log === undefined && !mayType)
    throw new ConflictError(`${machine.name} is off, or has no log of its serial console`);
  const console = mayType ? await takeConsole(view) : undefined;
  const off = new AbortController();
  // The log has the output already, and the view ends when all of it is sent.
  if (console !== undefined) joinViewer(socket, console, (bytes) => bytes, log === undefined ? {} : { sendsOutput: false, onEnd: () => off.abort() }); // prettier-ignore
  if (log !== undefined) void showLog(log, view, off);
}

/** @throws ConflictError while an analysis types there, or may begin to */
async function takeConsole({ machine, machinery, target, signal }: ConsoleView): Promise<Duplex> {
  const { phase, title } = target;
  if (phase !== undefined && phase !== "running")
    throw new ConflictError(`${title} is at: ${phase}; its serial console can be taken while the target runs`);
  if (await machinery.isConsoleTaken(machine, signal))
    throw new ConflictError(`somebody types on the serial console of ${machine.name}: most often the analysis`);
  return machinery.openConsole(machine, signal);
}

/** @param off aborted when the machine has gone off: what it has written before is still shown */
async function showLog(log: string, { socket, machine, machinery, closing }: ConsoleView, off: AbortController) {
  const watch = setInterval(() => {
    void Promise.resolve(machinery.state(machine, AbortSignal.timeout(STATE_LIMIT_MS))).then(
      (state) => {
        if ((typeof state === "string" ? state : state.state) === "poweroff") off.abort();
      },
      () => undefined,
    );
  }, LOOK_MS);
  const signals = { stop: closing, last: off.signal };
  await followFile(log, HISTORY, signals, (bytes) => new Promise<void>((resolve) => socket.send(bytes, () => resolve()))).catch(() => undefined); // prettier-ignore
  clearInterval(watch);
  endView(socket, GOES_ON, GONE_OFF);
}
