import { ExitStatus, getSignalStatus } from "./exit-status";
import type { RunEnvironment } from "./run/run-environment";

const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const STRAY = ["uncaughtException", "unhandledRejection"] as const;

/** A server or host of a lab, as a command of the command line. */
export interface Service {
  /** Starts it. Returns the line that says so, and its end. */
  start(): Promise<{ readonly started: string; close(): Promise<void> }>;
  /** The words for people while it ends. */
  readonly ending: string;
}

/**
 * Runs a service until a signal ends it; a second signal ends the process at once. An error that no part of the lab has caught
 * is told, and the service goes on.
 *
 * @returns the exit status: that of success for SIGTERM
 * @throws what starting or closing it throws
 */
export async function runService(environment: RunEnvironment, { start, ending }: Service): Promise<number> {
  const { stdout, stderr, processEvents, exitNow } = environment;
  let signalled: NodeJS.Signals | undefined;
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const onSignal = (signal: NodeJS.Signals) => {
    if (signalled !== undefined) exitNow(getSignalStatus(signal));
    signalled = signal;
    end();
  };
  // A timer or promise of a module of the lab.
  const onStray = (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    stderr.write(`rebox: an error that nobody has caught: ${text}\n`);
  };
  for (const signal of END_SIGNALS) processEvents.on(signal, onSignal);
  for (const event of STRAY) processEvents.on(event, onStray);
  try {
    const service = await start();
    stdout.write(`${service.started}\n`);
    await ended;
    stderr.write(`rebox: ending; ${ending}\n`);
    await service.close();
    return signalled === "SIGTERM" ? ExitStatus.success : getSignalStatus(signalled!);
  } finally {
    for (const signal of END_SIGNALS) processEvents.off(signal, onSignal);
    for (const event of STRAY) processEvents.off(event, onStray);
  }
}
