/** Bytes that should be BTF are not, or are damaged. */
export class BtfError extends Error {
  override readonly name = "BtfError";
}
