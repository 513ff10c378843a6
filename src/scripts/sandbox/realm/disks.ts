import { ask } from "./messages";

interface FileFacts {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedMs: number;
}

interface Options {
  readonly source?: string;
}

/** A file of the guest, as outside of the sandbox: src/guest/disks/guest-file.ts says what its functions do. */
export class GuestFile {
  readonly path!: string;
  readonly name!: string;
  readonly size!: number;
  readonly mode!: number;
  readonly uid!: number;
  readonly gid!: number;
  readonly modified: Date;
  readonly #id: number;
  #offset = 0;

  constructor(id: number, { modifiedMs, ...facts }: FileFacts) {
    Object.assign(this, facts);
    this.modified = new Date(modifiedMs);
    this.#id = id;
  }

  get offset(): number {
    return this.#offset;
  }

  seek(offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`${offset} is no place in a file`);
    this.#offset = offset;
  }

  async read(size = Math.max(0, this.size - this.#offset), offset = this.#offset): Promise<Uint8Array> {
    this.seek(offset);
    const bytes = (await ask("disks.read", this.#id, size, offset)) as Uint8Array;
    this.#offset = offset + bytes.length;
    return bytes;
  }
}

export async function getFilesystems(): Promise<unknown> {
  return ask("disks.list");
}

export async function openGuestPath(index: number, path: string, options: Options = {}): Promise<unknown> {
  const found = await ask("disks.open", index, path, options.source);
  if (found === undefined || Array.isArray(found)) return found;
  const { id, facts } = found as { id: number; facts: FileFacts };
  return new GuestFile(id, facts);
}
