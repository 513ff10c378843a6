/** A listener of a guest event; its number is known once it is registered. */
export interface RunningCall {
  listenerId: number;
}

let running: RunningCall | undefined;

/**
 * Makes a listener that notes while it runs. Guest events are raised within other callbacks, and a callback that does not
 * return is cut off with all that called it: only this tells which one it was.
 */
export function noteCalls(call: RunningCall, listener: (...args: never[]) => unknown): (...args: never[]) => unknown {
  return (...args) => {
    const outer = running;
    running = call;
    try {
      return listener(...args);
    } finally {
      // Not reached when the call is cut off.
      running = outer;
    }
  };
}

/** Takes the number of the listener that was cut off; undefined when none of these was. */
export function takeCutOff(): number | undefined {
  const call = running;
  running = undefined;
  return call?.listenerId;
}
