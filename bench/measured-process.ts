import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { readCpuTimeMs } from "./cpu-time";

const PATIENCE_MS = 180_000;
const KEPT_LINES = 20;

interface Waiter {
  /** Looks at what is there now. Returns whether that was what it waits for. */
  readonly look: () => boolean;
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
  readonly #facts = new Map<string, string>();
  readonly #messages: object[] = [];
  /** How it ended, once it has. */
  #ending: string | undefined;
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
    this.#child.on("message", (message) => {
      this.#messages.push(message as object);
      this.#wakeWaiters();
    });
    // What was begun last ends first: a server before its lab is removed.
    process.prependListener("exit", this.#killAtExit);
    this.#exited = new Promise((resolve) => {
      const onEnd = (how: string) => {
        this.#ending = how;
        process.off("exit", this.#killAtExit);
        for (const waiter of [...this.#waiters]) {
          waiter.fail(this.#fail(how));
        }
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
   * Waits for a fact of the guest kit, "rebox-guest: <name>=<value>" or "rebox-guest: <name>", unless it is known.
   *
   * @returns the value, or an empty string
   * @throws Error when the process ends before, or takes longer than three minutes
   */
  waitForFact(name: string): Promise<string> {
    return this.#wait(`the guest's "${name}"`, () => this.#facts.get(name));
  }

  /**
   * Waits for the next message, in the order they were sent.
   *
   * @throws Error as waitForFact()
   */
  waitForMessage<Message extends object>(): Promise<Message> {
    return this.#wait("its message", () => this.#messages.shift() as Message | undefined);
  }

  /** Waits for a line that it prints, unless it has. @throws Error as waitForFact() */
  waitForLine(pattern: RegExp): Promise<string> {
    return this.#wait(`a line ${pattern.source}`, () => this.#lines.find((line) => pattern.test(line)));
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Tells the process, over its message channel, to go on with the next step of its work. */
  proceed(): void {
    this.#child.send("proceed");
  }

  /** Has the process end itself, as a user does by SIGTERM, and waits for it. */
  async end(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#exited;
  }

  /** Ends the process at once, if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  #onLine(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) {
      this.#lines.shift();
    }
    // The firmware leaves escape sequences before the first line.
    const fact = /rebox-guest: ([^=]*)=?(.*)/.exec(line.trimEnd());
    if (fact) {
      this.#facts.set(fact[1] as string, fact[2] as string);
    }
    this.#wakeWaiters();
  }

  #wakeWaiters(): void {
    for (const waiter of [...this.#waiters]) {
      if (waiter.look()) {
        this.#waiters.delete(waiter);
      }
    }
  }

  #fail(what: string): Error {
    return new Error(`${this.command} ${what}; its last lines:\n${this.#lines.join("\n")}`);
  }

  #wait<Item>(what: string, find: () => Item | undefined): Promise<Item> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => fail(this.#fail(`kept silent about ${what} for ${PATIENCE_MS} ms`)), PATIENCE_MS);
      const fail = (error: Error) => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        reject(error);
      };
      const look = () => {
        const item = find();
        if (item !== undefined) {
          clearTimeout(timer);
          resolve(item);
        }
        return item !== undefined;
      };
      const waiter: Waiter = { look, fail };
      this.#waiters.add(waiter);
      this.#wakeWaiters();
      if (this.#ending !== undefined && this.#waiters.has(waiter)) {
        fail(this.#fail(this.#ending));
      }
    });
  }
}
