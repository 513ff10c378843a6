import { randomBytes } from "node:crypto";
import { createReadStream, existsSync, statSync } from "node:fs";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { UsageError } from "../errors";
import type { RemoteBody } from "./remote-server";

/**
 * Makes a form with files, multipart/form-data (RFC 7578), which is sent as it is read: files may be larger than the memory.
 *
 * @param fields names with their values
 * @throws UsageError for a file that is not there
 */
export function createForm(fields: readonly (readonly [string, string])[], files: readonly string[]): RemoteBody {
  const boundary = `rebox-${randomBytes(16).toString("hex")}`;
  const head = fields.map(([name, value]) => part(boundary, name, "") + `\r\n${value}\r\n`).join("");
  const pieces: (Buffer | { readonly file: string; readonly size: number })[] = [Buffer.from(head)];
  for (const file of files) {
    if (!existsSync(file)) throw new UsageError(`${file}: there is no such file`);
    const facts = statSync(file);
    if (!facts.isFile()) throw new UsageError(`${file}: this is no file`);
    // What would end the header or the value stands in it as browsers write it.
    const name = basename(file).replaceAll("\r", "%0D").replaceAll("\n", "%0A").replaceAll('"', "%22");
    pieces.push(Buffer.from(part(boundary, "file", `; filename="${name}"\r\ncontent-type: application/octet-stream`) + "\r\n")); // prettier-ignore
    pieces.push({ file, size: facts.size }, Buffer.from("\r\n"));
  }
  pieces.push(Buffer.from(`--${boundary}--\r\n`));
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    length: pieces.reduce((sum, piece) => sum + (Buffer.isBuffer(piece) ? piece.length : piece.size), 0),
    content: Readable.from(read(pieces)),
  };
}

function part(boundary: string, name: string, more: string): string {
  return `--${boundary}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n`;
}

async function* read(pieces: readonly (Buffer | { readonly file: string })[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) {
    if (Buffer.isBuffer(piece)) yield piece;
    else yield* createReadStream(piece.file) as AsyncIterable<Buffer>;
  }
}
