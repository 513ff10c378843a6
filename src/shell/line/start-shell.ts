import { InputTakenError } from "../errors";
import { CommandSession } from "../commands/command-session";
import { findEventCpu, readCpu } from "../../machine/state/cpu";
import { createDoors, type Doors } from "../../scripts/loading/doors";
import { type LineShellOptions, runLineShell } from "./line-shell";
import { ShellHold } from "./shell-hold";
import { createLocalTarget } from "./session-target";

/** The shell of a callback. */
export interface StartShellOptions extends LineShellOptions {
  /** The vCPU that it looks at; by default that of the event. */
  readonly cpuIndex: number;
}

/** The shell that reads standard input, and holds the guest for callbacks too. */
interface InputShell {
  readonly session: CommandSession;
  readonly hold: ShellHold;
}

let inputShell: InputShell | undefined;
let holdForAttached: ((cpuIndex: number) => Promise<void>) | undefined;

/**
 * Opens a shell of plain lines. A callback that returns the promise holds the guest exactly there until the shell is left:
 * by cont, quit or the end of the input. Where a shell reads standard input already, or behind the terminal UI, that is
 * the shell.
 *
 * @param options the vCPU alone, or: standard input and output by default; json answers each line by a line of JSON; the
 *   vCPU is by default that of the event whose callback calls this
 * @throws RangeError when there is no such vCPU
 */
export function startShell(options: number | Partial<StartShellOptions> = {}): Promise<void> {
  const { cpuIndex, ...streams } = typeof options === "number" ? { cpuIndex: options } : options;
  const index = cpuIndex === undefined ? (findEventCpu() ?? 0) : readCpu(cpuIndex).index;
  if (streams.input === undefined) {
    if (holdForAttached) return holdForAttached(index);
    if (inputShell) return inputShell.hold.hold(index);
  }
  const session = new CommandSession(scriptApi);
  session.cpuIndex = index;
  session.release = () => {
    session.wantsEnd = true;
  };
  session.isWaitedFor = true;
  return openShell(session, streams);
}

/** Sets the hold for attached shells, for a process without standard input; undefined for a shell on standard input. */
export function setShellHold(hold: ((cpuIndex: number) => Promise<void>) | undefined): void {
  holdForAttached = hold;
}

let scriptApi = createDoors();

/** Sets the names that !EXPRESSION can use in the shells that callbacks open. */
export function setShellApi(api: Doors): void {
  scriptApi = api;
}

/** Opens a shell that holds nothing: the guest continues beside it. @throws Error when a shell reads standard input already */
export async function openShell(session: CommandSession, options: Partial<LineShellOptions> = {}): Promise<void> {
  const { input = process.stdin, output = process.stdout, json = false } = options;
  const takesInput = input === process.stdin;
  if (takesInput && inputShell)
    throw new InputTakenError("a shell reads standard input already: open another by rebox attach");
  const own = takesInput ? { session, hold: createHold(session) } : undefined;
  if (own) inputShell = own;
  try {
    await runLineShell(createLocalTarget(session), { input, output, json });
  } finally {
    if (own) {
      inputShell = undefined;
      own.hold.release?.();
    }
    session.close();
  }
}

/** Makes the hold of callbacks for a shell that was there before them: it tells of each, and goes to its vCPU. */
function createHold(session: CommandSession): ShellHold {
  const atRest = session.release;
  return new ShellHold((release, cpuIndex) => {
    session.release = release ?? atRest;
    if (!release) return;
    session.cpuIndex = cpuIndex;
    const address = session.codeAddress;
    const symbol = session.createNamer().find(address);
    const place = `0x${address.toString(16)}${symbol === undefined ? "" : `, ${symbol}`}`;
    session.onNotice?.({
      text: `a callback holds the guest on vCPU ${cpuIndex}, at ${place}: cont lets it go`,
      data: { held: true, cpu: cpuIndex, address, symbol },
    });
  });
}
