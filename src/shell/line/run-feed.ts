import { Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { EngineState } from "../../machine/engine/engine";

/** The length of the past that a shell which comes later receives, in UTF-16 units. */
const LONGEST_PAST = 1 << 18;
/** Text is collected for this time, in milliseconds: a guest writes its console byte by byte. */
const PIECE_MS = 40;

/** An event of a run: the machine's state, the guest's serial line, or the output of scripts and rebox. */
export type RunEvent =
  | {
      readonly event: "state";
      readonly state: EngineState;
      /** How many times the machine has been paused or held so far. */
      readonly stops: number;
      /** Whether a callback holds it for the shells that are attached. */
      readonly isHeld: boolean;
      /** Whether the console takes what is typed. */
      readonly hasConsole: boolean;
    }
  | { readonly event: "console" | "output"; readonly text: string };

/** The events of a run, kept for those who watch it. */
export class RunFeed {
  readonly #listeners = new Set<(event: RunEvent) => void>();
  readonly #past = { console: "", output: "" };
  readonly #waiting = { console: "", output: "" };
  readonly #decoder = new StringDecoder("utf8");
  #timer: NodeJS.Timeout | undefined;
  #state: EngineState = "created";
  #stops = 0;
  #isHeld = false;
  /** Types at the guest's console; undefined when it is not connected here. */
  sendToConsole: ((text: string) => void) | undefined;

  /** Reports the present state, the kept past, and then everything to a listener. @returns a function that ends that */
  watch(listener: (event: RunEvent) => void): () => void {
    this.#flush();
    listener(this.#describe());
    for (const event of ["console", "output"] as const) {
      if (this.#past[event] !== "") listener({ event, text: this.#past[event] });
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes a change of the machine's state. */
  setState(state: EngineState): void {
    if (state === "paused") this.#stops++;
    this.#state = state;
    // Earlier output belongs in front of the change.
    this.#flush();
    this.#tell(this.#describe());
  }

  /** Takes that a callback holds the machine, or no longer does. */
  setHeld(isHeld: boolean): void {
    if (isHeld) this.#stops++;
    this.#isHeld = isHeld;
    this.#flush();
    this.#tell(this.#describe());
  }

  /** Takes bytes that the guest has written to its serial line. */
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

  /** Reports the rest, and ends all watching. */
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
