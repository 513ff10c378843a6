import { relative } from "node:path";
import type { AnalysisEntry } from "../../lab/analysis/analysis-database";
import { toColouredText } from "../../config/terminal-text";
import type { WorkerMessage } from "./worker-messages";

/** The time between two drawings, in milliseconds. */
const DRAW_MS = 500;
const CLEAR_LINE = "\r\x1b[K";

interface Shown {
  readonly beganMs: number;
  phase: string;
  events: number;
}

type Output = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

/**
 * Shows the progress of analyses: lines as things happen, and at a terminal below them one line for all that run, with the time that they
 * have taken and the number of their events.
 */
export class AnalysisProgress {
  readonly #shown = new Map<number, Shown>();
  readonly #timer: NodeJS.Timeout | undefined;

  /** @param output for people */
  constructor(private readonly output: Output) {
    if (output.isTTY === true) this.#timer = setInterval(() => this.#draw(), DRAW_MS).unref();
  }

  queue(id: number): void {
    this.#shown.set(id, { beganMs: performance.now(), phase: "queued", events: 0 });
    this.say(`analysis ${id}: queued`);
  }

  tell(id: number, message: WorkerMessage): void {
    const shown = this.#shown.get(id);
    if (shown === undefined) return;
    if (message.kind === "events") {
      shown.events = message.count;
    } else if (message.kind === "phase") {
      shown.phase = message.phase;
      this.say(`analysis ${id}: ${message.phase}`);
    } else if (message.line.level === "warn" || message.line.level === "error") {
      this.say(`analysis ${id}: ${message.line.level}: ${message.line.text}`);
    }
    this.#draw();
  }

  end(entry: AnalysisEntry, folder: string): void {
    const shown = this.#shown.get(entry.id);
    this.#shown.delete(entry.id);
    const took = shown === undefined ? "" : ` (${elapsed(shown)}, ${shown.events} events)`;
    this.say(`analysis ${entry.id}: ${entry.outcome}: ${entry.reason ?? ""}${took}`);
    this.say(`analysis ${entry.id}: results are in ${relative("", folder) || "."}`);
  }

  /** Prints a line. */
  say(text: string): void {
    this.#clear();
    this.output.write(`${toColouredText(text)}\n`);
    this.#draw();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#clear();
  }

  #clear(): void {
    if (this.#timer !== undefined) this.output.write(CLEAR_LINE);
  }

  #draw(): void {
    if (this.#timer === undefined) return;
    const running = [...this.#shown].filter(([, { phase }]) => phase !== "queued");
    const parts = running.map(([id, each]) => `${id} ${each.phase} ${elapsed(each)} ${each.events} events`);
    const queued = this.#shown.size - running.length;
    if (queued > 0) parts.push(`${queued} queued`);
    this.output.write(CLEAR_LINE + parts.join(" | ").slice(0, (this.output.columns ?? 80) - 1));
  }
}

function elapsed({ beganMs }: Shown): string {
  return `${((performance.now() - beganMs) / 1000).toFixed(1)} s`;
}
