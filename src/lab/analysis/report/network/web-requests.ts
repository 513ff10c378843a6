import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

/** A page that the target asked for in a simulated network, by HTTP or, decrypted, by HTTPS. */
export interface WebRequest {
  readonly method: string;
  readonly url: string;
  /** The number of such requests. */
  count: number;
}

/** In bytes; the guest decides how much it asks. */
const MOST_BYTES = 16 << 20;
const MOST_REQUESTS = 1_000;
/** A line of INetSim's report (lib/INetSim/Report.pm). */
const LINE = /HTTPS? connection, method: ([^,\s]+), URL: (.*?)(?:, file name: .*)?$/;

/**
 * Lists the pages that were asked for, by what INetSim reports at its end, each once in the order of the first.
 *
 * @param folder of the analysis
 */
export function listWebRequests(folder: string): WebRequest[] {
  const found = new Map<string, WebRequest>();
  for (const line of readReports(join(folder, "network/report")).split("\n")) {
    const [, method, url] = LINE.exec(line.trimEnd()) ?? [];
    if (method === undefined || url === undefined) continue;
    const key = `${method} ${url}`;
    const known = found.get(key);
    if (known !== undefined) known.count++;
    else if (found.size < MOST_REQUESTS) found.set(key, { method, url, count: 1 });
  }
  return [...found.values()];
}

function readReports(folder: string): string {
  try {
    return readdirSync(folder).toSorted().map((name) => readBeginning(join(folder, name))).join("\n"); // prettier-ignore
  } catch {
    // There was no simulated network, or INetSim was killed.
    return "";
  }
}

function readBeginning(path: string): string {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(Math.min(fstatSync(file).size, MOST_BYTES));
    return bytes.toString("latin1", 0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}
