import { createHash } from "node:crypto";
import { createWriteStream, openAsBlob, rmSync } from "node:fs";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { S3mini } from "s3mini" with { "resolution-mode": "import" };
import { ClusterError, MissingFileError, StoredFileError } from "../errors";
import type { ArtefactStore } from "./artefact-store";
import type { RemotePlaces } from "./cluster-settings";

/** Up to this size a file travels in one piece, in bytes. */
const PART_SIZE = 64 << 20;
/** For one request, in milliseconds: a part at 500 KB/s. */
const REQUEST_LIMIT_MS = 150_000;
const BATCH = 500;

/** Files in a bucket of a server that speaks the S3 API. */
export class S3Store implements ArtefactStore {
  private constructor(
    private readonly bucket: S3mini,
    private readonly place: string,
  ) {}

  /** Makes the store; nothing is asked of the server yet. */
  static async open(store: RemotePlaces["store"]): Promise<S3Store> {
    const { S3mini: Client } = await import("s3mini");
    const bucket = new Client({
      ...{ endpoint: store.bucket, region: store.region },
      ...{ accessKeyId: store.access_key, secretAccessKey: store.secret_key },
      ...{ minPartSize: PART_SIZE, requestAbortTimeout: REQUEST_LIMIT_MS },
    });
    return new S3Store(bucket, store.bucket);
  }

  async put(key: string, file: string): Promise<void> {
    const content = await openAsBlob(file);
    await this.#ask(`put ${key}`, () => this.bucket.putAnyObject(key, content));
  }

  async get(key: string, file: string, expected: { readonly size: number; readonly sha256: string }): Promise<void> {
    const hash = createHash("sha256");
    let size = 0;
    const check = () =>
      new Transform({
        transform(chunk: Buffer, _encoding, done) {
          size += chunk.length;
          if (size > expected.size) return done(new StoredFileError(`${key} is larger than ${expected.size} bytes`));
          hash.update(chunk);
          done(null, chunk);
        },
      });
    const isOther = () => new StoredFileError(`the content of ${key} in ${this.place} is not what was put there`);
    if (expected.size > PART_SIZE) {
      const there = await this.findSize(key);
      if (there === undefined) throw new MissingFileError(`${this.place} has no ${key}`);
      if (there !== expected.size) throw isOther();
    }
    try {
      // A large file comes in parts: each request has its own limit.
      for (let isFirst = true; isFirst || size < expected.size; isFirst = false) {
        const at = size;
        await this.#ask(`get ${key}`, async () => {
          const body = await this.#read(key, at, expected.size);
          await pipeline(body, check(), createWriteStream(file, { mode: 0o600, flags: isFirst ? "w" : "a" }));
        });
        if (size === at) break;
      }
      if (size !== expected.size || hash.digest("hex") !== expected.sha256) throw isOther();
    } catch (error) {
      rmSync(file, { force: true });
      throw error;
    }
  }

  async findSize(key: string): Promise<number | undefined> {
    const isThere = await this.#ask(`look for ${key}`, () => this.bucket.objectExists(key));
    return isThere === true ? this.#ask(`look for ${key}`, () => this.bucket.getContentLength(key)) : undefined;
  }

  async list(prefix: string): Promise<string[]> {
    const objects = await this.#ask(`list ${prefix}`, () => this.bucket.listObjects("/", prefix));
    return (objects ?? []).map(({ Key }) => Key);
  }

  async listOlder(prefix: string, ageMs: number): Promise<string[]> {
    const objects = await this.#ask(`list ${prefix}`, () => this.bucket.listObjects("/", prefix));
    const beforeMs = Date.now() - ageMs;
    return (objects ?? []).filter(({ LastModified }) => new Date(LastModified).getTime() < beforeMs).map(({ Key }) => Key); // prettier-ignore
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += BATCH) {
      const some = keys.slice(at, at + BATCH);
      const answers = await this.#ask(`remove ${some[0]}`, () => this.bucket.deleteObjects([...some]));
      for (const [index, key] of some.entries())
        if (answers[index] === false && (await this.findSize(key)) !== undefined)
          throw new ClusterError(`${this.place} has not removed ${key}; does its key permit that?`);
    }
  }

  /** Reads a small text; undefined when it is not there. */
  async findText(key: string): Promise<string | undefined> {
    return (await this.#ask(`get ${key}`, () => this.bucket.getObject(key))) ?? undefined;
  }

  /** Writes a small text. */
  async putText(key: string, text: string): Promise<void> {
    await this.#ask(`put ${key}`, () => this.bucket.putObject(key, text, "text/plain"));
  }

  /** Reads a file, or the next part of one that is larger than a part. @param at where that begins, in bytes */
  async #read(key: string, at: number, size: number): Promise<Readable> {
    const response =
      size <= PART_SIZE
        ? await this.bucket.getObjectResponse(key)
        : await this.bucket.getObjectRaw(key, false, at, Math.min(at + PART_SIZE, size));
    if (response?.body == null) throw new MissingFileError(`${this.place} has no ${key}`);
    if (size > PART_SIZE && response.status !== 206) {
      void response.body.cancel();
      throw new ClusterError(`${this.place} does not give parts of files (RFC 9110, 14.2), which large ones are fetched in`); // prettier-ignore
    }
    return Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
  }

  async #ask<Result>(what: string, act: () => Promise<Result>): Promise<Result> {
    try {
      return await act();
    } catch (error) {
      if (error instanceof ClusterError) throw error;
      const { message, cause } = error as Error;
      const more = cause instanceof Error && !message.includes(cause.message) ? `: ${cause.message}` : "";
      throw new ClusterError(`${this.place} cannot ${what}: ${message}${more}`);
    }
  }
}
