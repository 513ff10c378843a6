import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { SymbolsError } from "../../errors";
import { checkIdentity, formatIdentity, type SymbolIdentity, symbolKey } from "./symbol-identity";
import type { StoredSymbols, SymbolStore } from "./symbol-store";

/** The largest PDB file that is fetched, in bytes: those of browsers have about a gigabyte. */
const LARGEST = 0x80000000;
const ATTEMPTS = 3;
/** Symbol servers are known to answer clients that begin so, as every debugger does; the rest says who asks. */
const USER_AGENT = "Microsoft-Symbol-Server/10.0 (rebox)";

/** How a server is asked. */
export interface FetchOptions {
  /** For one file, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Fetches a PDB file from symbol servers, the first that has it, and keeps it. Nothing but the file's name, GUID and age is
 * sent, as the path of the request.
 *
 * @param servers addresses, as `https://symbols.example.org/download`
 * @returns undefined when no server has it
 * @throws SymbolsError when a server cannot be reached or sends something else, and no other has the file
 */
export async function fetchSymbols(
  store: SymbolStore,
  servers: readonly string[],
  identity: SymbolIdentity,
  options: FetchOptions = {},
): Promise<StoredSymbols | undefined> {
  checkIdentity(identity);
  const folder = mkdtempSync(join(tmpdir(), "rebox-symbols-"));
  let problem: SymbolsError | undefined;
  try {
    for (const server of servers) {
      try {
        const file = await download(server, identity, folder, options);
        if (file !== undefined) return store.add(file, identity);
      } catch (error) {
        if (!(error instanceof SymbolsError)) throw error;
        problem ??= error;
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (problem) throw problem;
  return undefined;
}

/** Plain first, then packed: its last letter is an underscore then. */
async function download(
  server: string,
  identity: SymbolIdentity,
  folder: string,
  options: FetchOptions,
): Promise<string | undefined> {
  const { name } = identity;
  for (const file of [name, `${name.slice(0, -1)}_`]) {
    const address = `${server}/${[name, symbolKey(identity), file].map(encodeURIComponent).join("/")}`;
    const path = join(folder, file);
    if (await save(address, path, options)) return path;
  }
  return undefined;
}

/** A transfer that breaks off is begun anew. */
async function save(address: string, path: string, { timeoutMs = 600_000 }: FetchOptions): Promise<boolean> {
  let problem: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const answer = await fetch(address, {
        headers: { "user-agent": USER_AGENT },
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (answer.status === 404) return false;
      if (!answer.ok || answer.body === null) throw new SymbolsError(`${address} answers ${answer.status}`);
      await pipeline(Readable.fromWeb(answer.body as ReadableStream), limit(address), createWriteStream(path));
      return true;
    } catch (error) {
      if (error instanceof SymbolsError) throw error;
      problem = error;
      if ((error as Error).name === "TimeoutError") break;
    }
  }
  const { message, cause } = problem as Error;
  const reason = cause instanceof Error && cause.message !== "" ? cause.message : message;
  throw new SymbolsError(
    `${address} cannot be fetched: ${reason}; try again, or fetch it by other means and add it: rebox symbols add FILE`,
    { cause: problem },
  );
}

function limit(address: string): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > LARGEST) done(new SymbolsError(`${address} sends more than ${LARGEST} bytes: it is no PDB file`));
      else done(null, chunk);
    },
  });
}

/** Says how symbols that are missing are got. */
export function adviseSymbols(identity: SymbolIdentity): string {
  const text = formatIdentity(identity);
  return `get them with: rebox symbols get ${text} --server ADDRESS; or add a file that you have: rebox symbols add FILE`;
}
