import { Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { EngineState } from "../../machine/engine/engine";

/** How much of the past a shell that comes later is told, in UTF-16 units. */
const LONGEST_PAST = 1 << 18;
/** Text is told in pieces: a guest writes its console byte by byte. */
const PIECE_MS = 40;

/** What a run tells those who watch it: the machine's state, the guest's serial line, and what scripts and rebox print. */
export type RunEvent =
  | {
      readonly event: "state";
      readonly state: EngineState;
      /** How often the machine has been paused or held so far. */
      readonly stops: number;
      /** Whether a callback holds it for the shells that are attached. */
      readonly isHeld: boolean;
      /** Whether the console takes what is typed. */
      readonly hasConsole: boolean;
    }
  | { readonly event: "console" | "output"; readonly text: string };

/** What goes on in a run, kept for those who look at it. */
export class RunFeed {
  readonly #listeners = new Set<(event: RunEvent) => void>();
  readonly #past = { console: "", output: "" };
  readonly #waiting = { console: "", output: "" };
  readonly #decoder = new StringDecoder("utf8");
  #timer: NodeJS.Timeout | undefined;
  #state: EngineState = "created";
  #stops = 0;
  #isHeld = false;
  /** Takes what is typed for the guest's console, if it has one here. */
  sendToConsole: ((text: string) => void) | undefined;

  /** Tells a listener about the present and the kept past, and then about everything. @returns what ends that */
  watch(listener: (event: RunEvent) => void): () => void {
    this.#flush();
    listener(this.#describe());
    for (const event of ["console", "output"] as const) {
      if (this.#past[event] !== "") listener({ event, text: this.#past[event] });
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Is told that the machine runs, stands still or has ended. */
  setState(state: EngineState): void {
    if (state === "paused") this.#stops++;
    this.#state = state;
    // What was printed before belongs before.
    this.#flush();
    this.#tell(this.#describe());
  }

  /** Is told that a callback holds the machine, or no longer does. */
  setHeld(isHeld: boolean): void {
    if (isHeld) this.#stops++;
    this.#isHeld = isHeld;
    this.#flush();
    this.#tell(this.#describe());
  }

  /** Is told what the guest has written to its serial line. */
  addConsole(bytes: Buffer): void {
    this.#add("console", this.#decoder.write(bytes));
  }

  /** Makes a stream that writes to another one and tells the watchers. */
  copyOf(stream: NodeJS.WritableStream): NodeJS.WritableStream {
    return new Writable({
      decodeStrings: false,
      write: (chunk: Buffer | string, encoding, done) => {
        this.#add("output", typeof chunk === "string" ? chunk : chunk.toString("utf8"));
        stream.write(chunk as string, encoding);
        done();
      },
    });
  }

  /** Tells what has not been told. */
  close(): void {
    this.#flush();
    this.#listeners.clear();
  }

  #describe(): RunEvent {
    const hasConsole = this.sendToConsole !== undefined;
    return { event: "state", state: this.#state, stops: this.#stops, isHeld: this.#isHeld, hasConsole };
  }

  #add(event: "console" | "output", text: string): void {
    this.#waiting[event] = (this.#waiting[event] + text).slice(-LONGEST_PAST);
    this.#timer ??= setTimeout(() => this.#flush(), PIECE_MS);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const event of ["console", "output"] as const) {
      const text = this.#waiting[event];
      if (text === "") continue;
      this.#waiting[event] = "";
      this.#past[event] = (this.#past[event] + text).slice(-LONGEST_PAST);
      this.#tell({ event, text });
    }
  }

  #tell(event: RunEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
