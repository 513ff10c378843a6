import type { ModuleOwner, Owned } from "../machine/ownership/module-owner";

/** The timer functions that a script sees as its globals. */
export interface OwnedTimers {
  setTimeout: (callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => NodeJS.Timeout;
  clearTimeout: (timer?: NodeJS.Timeout | string | number) => void;
  setInterval: (callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => NodeJS.Timeout;
  clearInterval: (timer?: NodeJS.Timeout | string | number) => void;
  setImmediate: (callback: (...args: unknown[]) => void, ...args: unknown[]) => NodeJS.Immediate;
  clearImmediate: (immediate?: NodeJS.Immediate) => void;
}

/**
 * Creates timer functions whose timers end with the script that they belong to.
 *
 * @param owner the script
 */
export function createOwnedTimers(owner: ModuleOwner): OwnedTimers {
  const owned = new Map<unknown, Owned>();
  const forget = (timer: unknown) => {
    owned.get(timer)?.release();
    owned.delete(timer);
  };
  const keep = <Timer>(timer: Timer, end: (timer: Timer) => void): Timer => {
    owned.set(
      timer,
      owner.own(() => end(timer)),
    );
    return timer;
  };
  const find = (timer: NodeJS.Timeout | string | number | undefined) =>
    typeof timer === "object" || timer === undefined
      ? timer
      : [...owned.keys()].find((candidate): candidate is NodeJS.Timeout => Number(candidate) === Number(timer));
  const clear = (timer?: NodeJS.Timeout | string | number) => {
    const found = find(timer);
    forget(found);
    clearTimeout(found);
  };
  return {
    setTimeout(callback, delayMs, ...args) {
      owner.check();
      const timer = setTimeout(() => {
        forget(timer);
        callback(...args);
      }, delayMs);
      return keep(timer, clearTimeout);
    },
    clearTimeout: clear,
    setInterval(callback, delayMs, ...args) {
      owner.check();
      return keep(setInterval(callback, delayMs, ...args), clearInterval);
    },
    clearInterval: clear,
    setImmediate(callback, ...args) {
      owner.check();
      const immediate = setImmediate(() => {
        forget(immediate);
        callback(...args);
      });
      return keep(immediate, clearImmediate);
    },
    clearImmediate(immediate) {
      forget(immediate);
      clearImmediate(immediate);
    },
  };
}
