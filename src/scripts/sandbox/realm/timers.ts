import { ask } from "./messages";

type Callback = (...args: unknown[]) => unknown;

const callbacks = new Map<number, { readonly call: () => unknown; readonly repeats: boolean }>();

/** A timer, as setTimeout() and its like return it. */
export class Timer {
  constructor(readonly id: number) {}

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  refresh(): this {
    ask("timer.refresh", this.id);
    return this;
  }

  close(): this {
    clear(this);
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.id;
  }
}

function start(callback: Callback, delayMs: number, repeats: boolean, args: unknown[]): Timer {
  if (typeof callback !== "function") throw new TypeError(`a timer needs a function to call, not ${typeof callback}`);
  const id = ask("timer.start", delayMs, repeats) as number;
  callbacks.set(id, { call: () => callback(...args), repeats });
  return new Timer(id);
}

function clear(timer: Timer | number | string | undefined): void {
  const id = timer instanceof Timer ? timer.id : Number(timer);
  if (callbacks.delete(id)) ask("timer.end", id);
}

/** Calls the function of a timer that has run out. */
export function fire(id: number): void {
  const timer = callbacks.get(id);
  if (timer !== undefined && !timer.repeats) callbacks.delete(id);
  timer?.call();
}

const toDelayMs = (value: unknown) => Math.max(0, Number(value) || 0);

export const timers = {
  setTimeout: (callback: Callback, delayMs?: number, ...args: unknown[]) =>
    start(callback, toDelayMs(delayMs), false, args),
  clearTimeout: clear,
  setInterval: (callback: Callback, delayMs?: number, ...args: unknown[]) =>
    start(callback, Math.max(1, toDelayMs(delayMs)), true, args),
  clearInterval: clear,
  setImmediate: (callback: Callback, ...args: unknown[]) => start(callback, -1, false, args),
  clearImmediate: clear,
};

/** node:timers/promises. */
export const timerPromises = {
  setTimeout: (delayMs?: number, value?: unknown) =>
    new Promise((resolve) => timers.setTimeout(() => resolve(value), delayMs)),
  setImmediate: (value?: unknown) => new Promise((resolve) => timers.setImmediate(() => resolve(value))),
};
