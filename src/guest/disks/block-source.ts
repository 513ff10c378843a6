import { DiskError } from "../errors";

/** Something with bytes at offsets: a disk of the guest, or a part of one. */
export interface BlockSource {
  readonly sizeBytes: number;

  /**
   * Reads bytes.
   *
   * @param offset in bytes, of any alignment
   * @param size in bytes; all of it must lie within the source
   * @throws DiskError when it cannot be read
   */
  read(offset: number, size: number): Promise<Uint8Array>;
}

/** A part of a disk: a partition. */
export class DiskPart implements BlockSource {
  /**
   * @param start in bytes
   * @throws DiskError when the part is not within the disk
   */
  constructor(
    private readonly disk: BlockSource,
    readonly start: number,
    readonly sizeBytes: number,
  ) {
    checkRange(disk, start, sizeBytes);
  }

  async read(offset: number, size: number): Promise<Uint8Array> {
    checkRange(this, offset, size);
    return this.disk.read(this.start + offset, size);
  }
}

/** Checks that a piece lies within a source. @throws DiskError */
export function checkRange({ sizeBytes }: BlockSource, offset: number, size: number): void {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(size) && offset >= 0 && size >= 0) {
    if (size <= sizeBytes && offset <= sizeBytes - size) return;
  }
  throw new DiskError(`${size} bytes at ${offset} are not within the ${sizeBytes} bytes that there are`);
}
