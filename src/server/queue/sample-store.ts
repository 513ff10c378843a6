import { createHash, randomBytes } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TargetFacts } from "../../lab/analysis/search/analysis-index";
import { getServerFolder } from "../accounts/account-database";
import { UploadError } from "../errors";

/** Room that an upload leaves on the disk, in bytes: analyses write there too. */
const RESERVE = 512 << 20;
/** In bytes; file systems take names of up to 255, and the guest's is a part of it. */
const LONGEST_NAME = 120;

/** A file that was handed in. */
export interface StoredSample extends TargetFacts {
  /** Absolute. */
  readonly path: string;
}

/** The files that were handed in to a server: each content once, in the lab's folder samples/SHA256/NAME. */
export class SampleStore {
  readonly #incoming: string;
  /** By content: how many requests have received it and are not done with it. */
  readonly #held = new Map<string, number>();

  /** Removes what an earlier server has left of uploads that were cut off. */
  constructor(private readonly labFolder: string) {
    this.#incoming = join(getServerFolder(labFolder), "incoming");
    rmSync(this.#incoming, { recursive: true, force: true });
    mkdirSync(this.#incoming, { recursive: true, mode: 0o700 });
  }

  /**
   * Takes a file in. Nothing of one that is cut off, or too large, stays. Who has received one releases it in the end.
   *
   * @param given the name that its sender gives it, which is hostile
   * @param largest in bytes
   * @throws UploadError when it is too large, or the disk is full; Error of the stream when it is cut off
   */
  async receive(source: Readable, given: string | undefined, largest: number): Promise<StoredSample> {
    const file = join(this.#incoming, randomBytes(12).toString("hex"));
    const hashes = ["md5", "sha1", "sha256"].map((name) => createHash(name));
    let size = 0;
    const meter = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        size += chunk.length;
        if (size > largest) return done(new UploadError(`the file is larger than ${largest} bytes; the server's --largest-upload sets another limit`, 413)); // prettier-ignore
        if (!this.#hasRoom()) return done(new UploadError("the disk of the lab is full; remove analyses", 507));
        for (const hash of hashes) hash.update(chunk);
        done(null, chunk);
      },
    });
    // A source that breaks while the file is being opened is an error of the pipeline.
    source.on("error", () => undefined);
    // Opened here: a stream that is destroyed early would make it after it was removed.
    const target = await open(file, "wx", 0o600);
    try {
      await pipeline(source, meter, target.createWriteStream());
      const [md5, sha1, sha256] = hashes.map((hash) => hash.digest("hex")) as [string, string, string];
      const name = cleanName(given);
      const path = this.#keep(file, sha256, name);
      // Behind it: who gets an error releases nothing.
      this.#held.set(sha256, (this.#held.get(sha256) ?? 0) + 1);
      return { name, size, md5, sha1, sha256, path };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOSPC") throw new UploadError("the disk of the lab is full; remove analyses", 507); // prettier-ignore
      throw error;
    } finally {
      await target.close().catch(() => undefined);
      rmSync(file, { force: true });
    }
  }

  /**
   * Gives up what a request has received. A content stays as long as other requests have it, too.
   *
   * @param isWanted says whether an analysis is of it, without which it is removed
   */
  release(sha256: string, isWanted: () => boolean): void {
    const left = (this.#held.get(sha256) ?? 1) - 1;
    if (left > 0) return void this.#held.set(sha256, left);
    this.#held.delete(sha256);
    if (!isWanted()) this.remove(sha256);
  }

  /** Removes a content, unless a request has just received it. */
  remove(sha256: string): void {
    if (this.#held.has(sha256)) return;
    rmSync(this.getFolder(sha256), { recursive: true, force: true });
  }

  /** Finds a file with a content. */
  find(sha256: string): string | undefined {
    const folder = this.getFolder(sha256);
    const [name] = existsSync(folder) ? readdirSync(folder) : [];
    return name === undefined ? undefined : join(folder, name);
  }

  private getFolder(sha256: string): string {
    return join(this.labFolder, "samples", sha256);
  }

  #hasRoom(): boolean {
    const { bavail, bsize } = statfsSync(this.#incoming);
    return bavail * bsize > RESERVE;
  }

  #keep(file: string, sha256: string, name: string): string {
    const folder = this.getFolder(sha256);
    const path = join(folder, name);
    if (existsSync(path)) return path;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const known = this.find(sha256);
    if (known === undefined) renameSync(file, path);
    else linkSync(known, path);
    return path;
  }
}

/** Makes of a name that a sender gives one that is a file's name and nothing else: no path, nothing that cannot be seen. */
export function cleanName(given: string | undefined): string {
  const last = (given ?? "").split(/[/\\]/).at(-1)!;
  const shown = last.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "").trim().replace(/^[.-]+/, "_"); // prettier-ignore
  let name = shown;
  while (Buffer.byteLength(name) > LONGEST_NAME) name = [...name].slice(1).join("");
  return name === "" ? "sample" : name;
}
