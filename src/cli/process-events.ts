import type { EventEmitter } from "node:events";

/** The signals that end a run: Ctrl-C, kill, and the terminal being closed. */
const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The events of its process that a run handles. */
export interface ProcessEventHandlers {
  /** The first signal: end cleanly. */
  onFirstSignal(signal: NodeJS.Signals): void;
  /** Any further signal: end at once. */
  onNextSignal(signal: NodeJS.Signals): void;
  /** An exception or rejected promise that nobody caught. */
  onUncaught(error: unknown): void;
  /** The process ends, in any way; only synchronous work is possible. */
  onExit(): void;
}

/**
 * Subscribes to a process's signals, uncaught errors and end.
 *
 * @param source the process
 * @returns a function that ends the subscription
 */
export function watchProcess(source: EventEmitter, handlers: ProcessEventHandlers): () => void {
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    signals++;
    if (signals === 1) handlers.onFirstSignal(signal);
    else handlers.onNextSignal(signal);
  };
  const listeners: [string, (...args: never[]) => void][] = [
    ...END_SIGNALS.map((signal): [string, typeof onSignal] => [signal, onSignal]),
    ["uncaughtException", (error: unknown) => handlers.onUncaught(error)],
    ["unhandledRejection", (error: unknown) => handlers.onUncaught(error)],
    ["exit", () => handlers.onExit()],
  ];
  for (const [event, listener] of listeners) source.on(event, listener as () => void);
  return () => {
    for (const [event, listener] of listeners) source.off(event, listener as () => void);
  };
}
