import { InputTakenError } from "../errors";
import { CommandSession } from "../commands/command-session";
import { type LineShellOptions, runLineShell } from "./line-shell";
import { createLocalTarget } from "./session-target";
import { createDoors, type Doors } from "../../scripts/doors";

let isInputTaken = false;
let holdForAttached: (() => Promise<void>) | undefined;

/**
 * Opens a shell of plain lines. A callback that returns the promise holds the guest exactly there until the shell is left:
 * by cont, quit or the end of the input. Behind the terminal UI, that is the shell.
 *
 * @param options standard input and output by default; json answers each line by a line of JSON
 * @throws Error when a shell reads standard input already
 */
export function startShell(options: Partial<LineShellOptions> = {}): Promise<void> {
  if (holdForAttached && options.input === undefined) return holdForAttached();
  const session = new CommandSession(scriptApi);
  session.release = () => {
    session.wantsEnd = true;
  };
  return openShell(session, options);
}

/** Sets the hold for attached shells, for a process without standard input; undefined for a shell on standard input. */
export function setShellHold(hold: (() => Promise<void>) | undefined): void {
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
  if (takesInput && isInputTaken)
    throw new InputTakenError("a shell reads standard input already: open another by rebox attach");
  if (takesInput) isInputTaken = true;
  try {
    await runLineShell(createLocalTarget(session), { input, output, json });
  } finally {
    if (takesInput) isInputTaken = false;
    session.close();
  }
}
