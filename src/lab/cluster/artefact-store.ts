import { ClusterError } from "../errors";

/** Whether a text is a SHA-256. */
export const SHA256 = /^[0-9a-f]{64}$/;

/** A place for files by name, which many hosts share. */
export interface ArtefactStore {
  /** Puts a file there, in place of what was there. @param file absolute path */
  put(key: string, file: string): Promise<void>;
  /**
   * Fetches a file.
   *
   * @param file absolute path; made
   * @param expected its content
   * @throws MissingFileError when it is not there; StoredFileError when its content is another: then there is no file
   */
  get(key: string, file: string, expected: { readonly size: number; readonly sha256: string }): Promise<void>;
  /** Returns the size of a file, in bytes; undefined when it is not there. */
  findSize(key: string): Promise<number | undefined>;
  /** Lists the names that begin so. */
  list(prefix: string): Promise<string[]>;
  /** Lists the names that begin so of files that were put there longer ago. @param ageMs in milliseconds */
  listOlder(prefix: string, ageMs: number): Promise<string[]>;
  /** Removes files; those that are not there are no error. */
  remove(keys: readonly string[]): Promise<void>;
}

/** Names a file by its content. @throws ClusterError for what is no SHA-256: it comes from others, and names files here */
export function getContentKey(sha256: string): string {
  if (!SHA256.test(sha256)) throw new ClusterError(`${JSON.stringify(sha256)} is no SHA-256`);
  return `content/${sha256.slice(0, 2)}/${sha256}`;
}

/** Names a result of an attempt. */
export function getResultKey(id: string, attempt: number, name: string): string {
  return `${getAttemptPrefix(id, attempt)}${name}`;
}

/** Names all results of an attempt; of all attempts without one. */
export function getAttemptPrefix(id: string, attempt?: number): string {
  return attempt === undefined ? `analyses/${id}/` : `analyses/${id}/${attempt}/`;
}
