/** Bytes that should be an ELF file are not, are damaged, or cannot be read. */
export class ElfError extends Error {
  override readonly name = "ElfError";
}
