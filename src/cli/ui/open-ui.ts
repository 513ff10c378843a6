import type { ControlClient } from "../../shell/line/control-client";
import { TerminalUi } from "../../shell/ui/terminal-ui";
import { describeThrown } from "../../scripts/script-stack";
import { ExitStatus, getSignalStatus } from "../exit-status";
import { watchProcess } from "../process-events";
import type { WholeTerminal } from "./choose-shell";

/** The reason why the UI was left. */
export interface UiEnd {
  /** The signal that ended it, if one did. */
  readonly signal?: NodeJS.Signals;
  /** The error of the UI itself. */
  readonly error?: unknown;
  /** The user has left, and the guest continues. */
  readonly hasLeft?: boolean;
}

/** Options of the terminal UI. */
export interface UiOptions {
  /** Whether the output of scripts comes through the control socket; otherwise `onOpen` passes it on. */
  readonly showsOutput: boolean;
  readonly onOpen?: (ui: TerminalUi) => void;
}

/**
 * Opens the terminal UI, and gives the terminal back however it ends: the user leaves, the engine ends, a signal, a defect.
 *
 * @param client is attached to the engine
 * @returns when the terminal is as it was
 */
export async function openUi(
  client: ControlClient,
  terminal: WholeTerminal,
  { showsOutput, onOpen }: UiOptions,
): Promise<UiEnd> {
  let stop: (end: UiEnd) => void = () => undefined;
  const stopped = new Promise<UiEnd>((resolve) => (stop = resolve));
  const ui = new TerminalUi(client, terminal, showsOutput);
  const unwatch = watchProcess(process, {
    onFirstSignal: (signal) => stop({ signal }),
    onNextSignal: (signal) => process.exit(getSignalStatus(signal)),
    onUncaught: (error) => stop({ error }),
    onExit: () => ui.close(),
  });
  const onContinue = () => ui.resume();
  // The terminal has been closed: its signal comes too, or has come.
  const onGone = () => stop({ signal: "SIGHUP" });
  process.on("SIGCONT", onContinue);
  // They stay: later writes fail too, and an error without a listener would be one more to be written.
  for (const stream of [terminal.output, process.stderr]) stream.on("error", onGone);
  terminal.input.on("error", onGone).on("end", onGone);
  try {
    onOpen?.(ui);
    return await Promise.race([
      stopped,
      ui.ended.then((how) => ({ hasLeft: how === "left" })),
      client.ended.then(() => ({})),
    ]);
  } finally {
    ui.close();
    process.off("SIGCONT", onContinue);
    terminal.input.off("error", onGone).off("end", onGone);
    unwatch();
  }
}

/** Returns the exit status of a program that did nothing but show the UI. */
export function getUiStatus({ signal, error }: UiEnd, problems: NodeJS.WritableStream): number {
  if (signal) return getSignalStatus(signal);
  if (error === undefined) return ExitStatus.success;
  problems.write(`rebox: internal error: ${describeThrown(error)}\n`);
  return ExitStatus.engineFault;
}
