/** A disk, a file system or a file of the guest cannot be read. */
export class DiskError extends Error {
  override readonly name = "DiskError";
}
