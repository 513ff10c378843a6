import { isMoment, takeMoment } from "../../config/moment";
import { withMoment } from "./event-moment";
import { closeSync, existsSync, openSync, readSync } from "node:fs";

const POLL_MS = 250;
const CHUNK = 1 << 16;
/** In bytes; a longer line is left out. */
const LONGEST_LINE = 1 << 20;
/** Types of the engine's lines that are no events of the analysis. */
const SILENT = new Set(["start", "end", "loaded", "unloaded", "reloaded", "signal", "timeout"]);
const TYPE = /^[a-z][\w-]*(\.[\w-]+)*$/i;

/** Receives an event. */
type Tell = (type: string, facts: Readonly<Record<string, unknown>>) => void;

/** Follows the JSON lines that an engine of rebox writes, and reports those that belong to an analysis. */
export class EngineLog {
  #descriptor: number | undefined;
  #rest = Buffer.alloc(0);
  readonly #timer = setInterval(() => this.#read(), POLL_MS).unref();

  /**
   * @param file that `rebox run --json` writes; it need not be there yet
   * @param tell receives the events, each within the engine's own moment
   */
  constructor(
    private readonly file: string,
    private readonly tell: Tell,
  ) {}

  /** Reads what is left and ends. */
  close(): void {
    clearInterval(this.#timer);
    this.#read();
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #read(): void {
    if (this.#descriptor === undefined && !existsSync(this.file)) return;
    this.#descriptor ??= openSync(this.file, "r");
    const chunk = Buffer.alloc(CHUNK);
    for (let length = readSync(this.#descriptor, chunk); length > 0; length = readSync(this.#descriptor, chunk)) {
      const bytes = Buffer.concat([this.#rest, chunk.subarray(0, length)]);
      let start = 0;
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
        if (end - start <= LONGEST_LINE) tellLine(bytes.toString("utf8", start, end), this.tell);
        start = end + 1;
      }
      this.#rest = Buffer.from(bytes.subarray(start));
      if (this.#rest.length > LONGEST_LINE) this.#rest = Buffer.alloc(0);
    }
  }
}

/** Reports the event of one line of an engine's log. */
function tellLine(line: string, tell: Tell): void {
  const entry = findObject(line);
  if (entry === undefined || typeof entry.type !== "string") return;
  const { type, time: _time, sequence, monotonicMs, instructions, ...facts } = entry;
  const counted = Number.isSafeInteger(instructions) ? { instructions } : {};
  const moment = { sequence, monotonicMs, ...counted };
  withMoment(isMoment(moment) ? moment : takeMoment(), () => tellEntry(type, facts, tell));
}

function tellEntry(type: string, facts: Readonly<Record<string, unknown>>, tell: Tell): void {
  if (type === "message") {
    const { script, text } = facts;
    // A script that prints an object with a type reports an event of its own.
    const own = typeof text === "string" && text.startsWith("{") ? findObject(text) : undefined;
    if (own !== undefined && typeof own.type === "string" && TYPE.test(own.type)) {
      const { type: ownType, ...ownFacts } = own;
      tell(ownType as string, ownFacts);
    } else tell("script.message", { script, text });
  } else if (type === "callbackError" || type === "scriptError") {
    tell("script.error", { script: facts.script, message: facts.message });
  } else if (!SILENT.has(type)) tell(`machine.${type}`, facts);
}

function findObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
