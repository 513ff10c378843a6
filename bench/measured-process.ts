import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { readCpuTimeMs } from "./cpu-time";

const PATIENCE_MS = 180_000;
const KEPT_LINES = 20;

interface Waiter {
  readonly accepts: (item: string | object) => boolean;
  readonly settle: (item: string | object) => void;
  readonly fail: (error: Error) => void;
}

/** A process that is measured: what it prints, line by line, what it reports as messages, and its CPU time. */
export class MeasuredProcess implements AsyncDisposable {
  /** When it was started, as performance.now(). */
  readonly startedMs = performance.now();
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #waiters = new Set<Waiter>();
  readonly #lines: string[] = [];
  #over = false;
  readonly #killAtExit = () => this.#child.kill("SIGKILL");

  /** @param channel whether the process has Node's message channel */
  constructor(
    private readonly command: string,
    args: readonly string[],
    channel = false,
  ) {
    this.#child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe", ...(channel ? ["ipc" as const] : [])] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream as NodeJS.ReadableStream }).on("line", (line) => this.#onLine(line));
    }
    this.#child.on("message", (message) => this.#offer(message as object));
    process.on("exit", this.#killAtExit);
    this.#exited = new Promise((resolve) => {
      const onEnd = (how: string) => {
        this.#over = true;
        process.off("exit", this.#killAtExit);
        this.#failAll(how);
        resolve();
      };
      this.#child.on("error", (error) => onEnd(`could not start: ${error.message}`));
      this.#child.on("close", (status, signal) => onEnd(`ended (${signal ?? `status ${status}`})`));
    });
  }

  /** The CPU time of all its threads until now, in milliseconds. */
  get cpuTimeMs(): number {
    return readCpuTimeMs(this.#child.pid as number);
  }

  /**
   * Waits for a fact of the guest kit, "rebox-guest: <name>=<value>" or "rebox-guest: <name>".
   *
   * @returns the value, or an empty string
   * @throws Error when the process ends before, or takes longer than three minutes
   */
  async waitForFact(name: string): Promise<string> {
    const start = `rebox-guest: ${name}`;
    const line = await this.#wait(
      (item) => typeof item === "string" && (item === start || item.startsWith(`${start}=`)),
      `the guest's "${name}"`,
    );
    return (line as string).slice(start.length + 1);
  }

  /**
   * Waits for the next message.
   *
   * @throws Error as waitForFact()
   */
  async waitForMessage<Message extends object>(): Promise<Message> {
    return (await this.#wait((item) => typeof item === "object", "its message")) as Message;
  }

  /** Tells the process, over its message channel, to go on with the next step of its work. */
  proceed(): void {
    this.#child.send("proceed");
  }

  /** Waits until it has ended by itself. */
  async waitForEnd(): Promise<void> {
    await this.#exited;
  }

  /** Ends the process at once, if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  #onLine(text: string): void {
    // The serial console ends lines with CR LF, and the firmware leaves escape sequences before the first one.
    const line = text.slice(Math.max(0, text.indexOf("rebox-guest: "))).trimEnd();
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) {
      this.#lines.shift();
    }
    this.#offer(line);
  }

  #offer(item: string | object): void {
    for (const waiter of [...this.#waiters]) {
      if (waiter.accepts(item)) {
        waiter.settle(item);
      }
    }
  }

  #failAll(how: string): void {
    for (const waiter of [...this.#waiters]) {
      waiter.fail(new Error(`${this.command} ${how} too early; its last lines:\n${this.#lines.join("\n")}`));
    }
  }

  #wait(accepts: Waiter["accepts"], what: string): Promise<string | object> {
    if (this.#over) {
      return Promise.reject(new Error(`${this.command} has ended; its last lines:\n${this.#lines.join("\n")}`));
    }
    const { promise, resolve, reject } = createDeferred<string | object>();
    const timer = setTimeout(() => this.#failAll(`waits for ${what} for ${PATIENCE_MS} ms,`), PATIENCE_MS);
    const waiter: Waiter = { accepts, settle: resolve, fail: reject };
    this.#waiters.add(waiter);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    });
  }
}

function createDeferred<Value>() {
  let resolve!: (value: Value) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<Value>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  return { promise, resolve, reject };
}
