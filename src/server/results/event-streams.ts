import { type FileHandle, open } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { EVENTS_FILE } from "../../lab/analysis/event-log";
import { BusyError } from "../errors";
import { type EventFilter, fits, parseEvent } from "./event-page";

/** The time between two looks at a file that grows, and between two signs of life, in milliseconds. */
const POLL_MS = 250;
const BEAT_MS = 15_000;
const CHUNK = 256 << 10;
/** The most streams at once. */
const MOST_STREAMS = 200;
const NEWLINE = 10;

/** Where a stream goes on: an offset in the file as it was while the analysis ran ("r"), or as it is since it has ended ("e"). */
interface Position {
  readonly kind: "r" | "e";
  readonly offset: number;
}

/**
 * Streams the events of analyses to browsers and programs as they come (server-sent events, of the HTML standard).
 *
 * The messages: "event" has an event, "phase" the phase and number of an analysis that changes, "end" its end, and "restart" says that
 * the events have got their final order since the stream was left, and all of them follow.
 */
export class EventStreams {
  readonly #streams = new Set<AbortController>();

  constructor(
    private readonly labFolder: string,
    private readonly database: AnalysisDatabase,
  ) {}

  get count(): number {
    return this.#streams.size;
  }

  /** Ends all streams. */
  close(): void {
    for (const stream of this.#streams) stream.abort();
  }

  /**
   * Writes the events of an analysis to a response until it ends, or nobody listens any more.
   *
   * @param lastId the id of the last message that was received, for a stream that goes on; undefined for a new one
   * @throws BusyError when there are too many streams
   */
  async stream(id: number, filter: EventFilter, lastId: string | undefined, response: ServerResponse): Promise<void> {
    if (this.#streams.size >= MOST_STREAMS) throw new BusyError("too many streams are open; try again in 10 seconds");
    const stopping = new AbortController();
    this.#streams.add(stopping);
    const writer = new MessageWriter(response, stopping);
    let file: FileHandle | undefined;
    try {
      const entry = this.database.find(id);
      const kind = entry?.outcome === undefined ? "r" : "e";
      const last = readPosition(lastId);
      const isOutdated = last !== undefined && last.kind !== kind;
      if (isOutdated) await writer.write("restart", {});
      const path = join(getAnalysisFolder(this.labFolder, id), EVENTS_FILE);
      const rest = new LineReader(isOutdated || last === undefined ? 0 : last.offset);
      let phase = "";
      while (!stopping.signal.aborted) {
        const now = this.database.find(id);
        // Asked before the file is read: what comes behind the end is in it then.
        const isOver = now === undefined || now.outcome !== undefined;
        if (now !== undefined && !isOver && now.phase !== phase) await writer.write("phase", { phase: (phase = now.phase) }); // prettier-ignore
        file ??= await open(path, "r").catch(() => undefined);
        if (file !== undefined) await this.#copyNew(file, rest, filter, writer, kind, stopping.signal);
        if (isOver) {
          // Putting events into their order has made another file of them, to whose end the last ones were added.
          const ordered = file === undefined ? undefined : await openOther(path, file);
          await file?.close();
          file = ordered;
          if (file !== undefined) await this.#copyNew(file, rest, filter, writer, kind, stopping.signal);
          await writer.write("end", { outcome: now?.outcome ?? "removed", reason: now?.reason ?? null });
          break;
        }
        await sleep(POLL_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    } finally {
      writer.end();
      await file?.close().catch(() => undefined);
      this.#streams.delete(stopping);
    }
  }

  async #copyNew(
    file: FileHandle,
    rest: LineReader,
    filter: EventFilter,
    writer: MessageWriter,
    kind: Position["kind"],
    signal: AbortSignal,
  ): Promise<void> {
    for (let lines = await rest.read(file); lines !== undefined; lines = await rest.read(file)) {
      for (const { text, end } of lines) {
        const event = parseEvent(text);
        if (event !== undefined && fits(event, filter)) await writer.write("event", event, `${kind}${end}`);
        if (signal.aborted) return;
      }
    }
  }
}

/** Reads the lines that a file has got since it was last read. */
class LineReader {
  readonly #buffer = Buffer.alloc(CHUNK);
  #rest = Buffer.alloc(0);

  /** @param offset the beginning of a line, in bytes */
  constructor(private offset: number) {}

  /** Returns whole lines, with where each ends; undefined when there are no more so far. */
  async read(file: FileHandle): Promise<{ readonly text: string; readonly end: number }[] | undefined> {
    const start = this.offset;
    const { bytesRead } = await file.read(this.#buffer, 0, CHUNK, start + this.#rest.length);
    if (bytesRead === 0) return undefined;
    const bytes = Buffer.concat([this.#rest, this.#buffer.subarray(0, bytesRead)]);
    const lines: { text: string; end: number }[] = [];
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, from)) {
      lines.push({ text: bytes.toString("utf8", from, end), end: start + end + 1 });
      from = end + 1;
    }
    this.offset = start + from;
    this.#rest = Buffer.from(bytes.subarray(from));
    // A line that long was not written by us.
    if (this.#rest.length > 4 * CHUNK) {
      this.offset += this.#rest.length;
      this.#rest = Buffer.alloc(0);
    }
    return lines;
  }
}

/** Writes messages, no faster than they are taken. */
class MessageWriter {
  readonly #beat: NodeJS.Timeout;

  constructor(
    private readonly response: ServerResponse,
    private readonly stopping: AbortController,
  ) {
    response.on("close", () => stopping.abort());
    response.on("error", () => stopping.abort());
    response.write("retry: 2000\n\n");
    this.#beat = setInterval(() => response.write(": beat\n\n"), BEAT_MS);
  }

  async write(name: string, data: object, id?: string): Promise<void> {
    const head = id === undefined ? "" : `id: ${id}\n`;
    const isTaken = this.response.write(`${head}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    if (isTaken || this.stopping.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.response.off("drain", done);
        this.stopping.signal.removeEventListener("abort", done);
        resolve();
      };
      this.response.once("drain", done);
      this.stopping.signal.addEventListener("abort", done, { once: true });
    });
  }

  end(): void {
    clearInterval(this.#beat);
    this.response.end();
  }
}

/** Opens the file that has a path now; undefined when it is still the same. */
async function openOther(path: string, before: FileHandle): Promise<FileHandle | undefined> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined || (await file.stat()).ino !== (await before.stat()).ino) return file;
  await file.close();
  return undefined;
}

function readPosition(text: string | undefined): Position | undefined {
  const [, kind, digits] = /^([re])(\d{1,15})$/.exec(text ?? "") ?? [];
  return digits === undefined ? undefined : { kind: kind as Position["kind"], offset: Number(digits) };
}
