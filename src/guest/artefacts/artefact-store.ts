import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The bounds of what is kept. */
export interface ArtefactLimits {
  /** Of one file, in bytes. */
  readonly mostFileBytes: number;
  /** Of different contents. */
  readonly mostFiles: number;
  /** Of all contents together, in bytes. */
  readonly mostBytes: number;
}

/** The outcome of keeping a content: its name, or the reason why it was left out. */
export type Kept = { readonly sha256: string; readonly isNew: boolean } | { readonly left: string };

/**
 * Keeps contents in a folder, each once, named by their SHA-256. Names out of the guest are no names of files here, and nothing
 * that is kept can be executed.
 */
export class ArtefactStore {
  readonly #known = new Set<string>();
  #bytes = 0;

  /** @param folder absolute; it is made when something is kept */
  constructor(
    private readonly folder: string,
    private readonly limits: ArtefactLimits,
  ) {}

  /** Tells why a content of a size cannot be kept; undefined when it can be, or is perhaps there already. */
  findProblem(size: number): string | undefined {
    const { mostFileBytes } = this.limits;
    return size > mostFileBytes ? `it has ${size} bytes, more than ${mostFileBytes} (most_file_bytes)` : undefined;
  }

  /** Keeps a content. @throws Error of the file system: a full disk, for example */
  keep(bytes: Uint8Array): Kept {
    const { mostFiles, mostBytes } = this.limits;
    const left = this.findProblem(bytes.length);
    if (left !== undefined) return { left };
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (this.#known.has(sha256)) return { sha256, isNew: false };
    if (this.#known.size >= mostFiles) return { left: `${mostFiles} files are kept already (most_files)` };
    if (this.#bytes + bytes.length > mostBytes) {
      return { left: `the files that are kept would have more than ${mostBytes} bytes (most_bytes)` };
    }
    if (this.#known.size === 0) mkdirSync(this.folder, { recursive: true });
    writeNew(join(this.folder, sha256), bytes);
    this.#known.add(sha256);
    this.#bytes += bytes.length;
    return { sha256, isNew: true };
  }
}

/** Writes a file, unless it is there: then it has this content. */
function writeNew(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes, { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
