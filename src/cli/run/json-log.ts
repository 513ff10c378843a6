import { takeMoment } from "../../config/moment";
import { closeSync, openSync, writeSync } from "node:fs";
import { UsageError } from "../errors";

/** A file of one JSON object a line: {"time": ..., "type": ..., ...}. */
export class JsonLog {
  private failure: Error | undefined;
  private isClosed = false;

  private constructor(
    private readonly write: (line: string) => void,
    private readonly closeFile: () => void,
  ) {}

  /**
   * Creates the file, or empties it.
   *
   * @param path the file; "-" is standard output
   * @param stdout standard output
   * @throws UsageError when the file cannot be written
   */
  static open(path: string, stdout: NodeJS.WritableStream): JsonLog {
    if (path === "-")
      return new JsonLog(
        (line) => stdout.write(line),
        () => undefined,
      );
    try {
      const file = openSync(path, "w");
      // Written at once: the lines before a crash are the ones to read afterwards.
      return new JsonLog(
        (line) => writeAll(file, line),
        () => closeSync(file),
      );
    } catch (error) {
      const reason = (error as Error).message;
      throw new UsageError(
        `cannot write the JSON lines of --json: ${reason}; name a file in an existing, writable folder`,
      );
    }
  }

  /** The reason why the log is incomplete; undefined when every line was written. */
  get writeFailure(): Error | undefined {
    return this.failure;
  }

  /**
   * Appends one line, stamped with the current time (ISO 8601, UTC) and moment.
   *
   * @param type the kind of event
   * @param detail more members of the line; a bigint becomes a string in hexadecimal
   */
  add(type: string, detail: object): void {
    if (this.isClosed || this.failure !== undefined) return;
    const time = new Date().toISOString();
    const text = JSON.stringify({ time, ...takeMoment(), type, ...detail }, (_, value: unknown) =>
      typeof value === "bigint" ? `0x${value.toString(16)}` : value,
    );
    try {
      this.write(`${text}\n`);
    } catch (error) {
      // A full disk must not stop the guest; the run reports it at its end.
      this.failure = error as Error;
    }
  }

  /** Closes the file; lines added afterwards are dropped. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.closeFile();
  }
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
}
