/** Writes the lines of recorded system calls into a file, up to a size. */
import { closeSync, openSync, writeSync } from "node:fs";
import { type JournalRecord } from "rebox/trusted";
import { escape } from "../../../scripts/_system_call_arguments";
import { readPieces } from "../../../scripts/_system_call_recorder";
import type { Tracer } from "./call-tracers";
import type { Traced } from "./traced-processes";

/** In characters; what is written at once. */
const CHUNK = 1 << 16;

/** The file of the calls. */
export class CallLog {
  /** Lines that were written, and calls that were left out because the file had its size. */
  recorded = 0;
  cut = 0;
  private readonly descriptor: number;
  private readonly beganMs = Number(process.hrtime.bigint()) / 1e6;
  private lines = "";
  private size = 0;

  /** @param file absolute; it must not be there */
  constructor(file: string) {
    this.descriptor = openSync(file, "wx");
  }

  /** Records a call. @param most the size that the file may have for the caller, in bytes */
  record(
    { name, shows, kinds }: Tracer,
    { pid, name: process }: Traced,
    record: JournalRecord,
    values: readonly bigint[],
    most: number,
  ): void {
    if (this.size >= most) return void this.cut++;
    const pieces = kinds === 0 ? [] : readPieces(record.bytes, record.piecesAt, kinds);
    let text = "";
    for (let index = 0; index < shows.length; index++) {
      text += (index === 0 ? "" : ", ") + shows[index]!(values[index] ?? 0n, pieces[index]);
    }
    const seconds = ((record.timeMs - this.beganMs) / 1000).toFixed(3);
    const line = `${seconds} ${pid} ${escape(process)} ${name}(${text})\n`;
    this.recorded++;
    this.size += line.length;
    this.lines += line;
    if (this.lines.length >= CHUNK) this.flush();
  }

  /** Writes what is there. */
  flush(): void {
    const bytes = Buffer.from(this.lines, "latin1");
    this.lines = "";
    for (let at = 0; at < bytes.length;) at += writeSync(this.descriptor, bytes, at);
  }

  close(): void {
    this.flush();
    closeSync(this.descriptor);
  }
}
