import { closeSync, openSync, readSync } from "node:fs";
import { MachineryError } from "../../../errors";

const FORMATS = [
  // LZ4's frame format, the gzip format (RFC 1952), and QEMU_VM_FILE_MAGIC of QEMU's migration/savevm.h.
  { name: "lz4", magic: "04224d18", reader: ["lz4", "-dc"], packageName: "lz4" },
  { name: "gzip", magic: "1f8b", reader: ["gzip", "-dc"], packageName: "gzip" },
  { name: "none", magic: "5145564d", reader: ["cat"], packageName: "coreutils" },
] as const;

/** The packing of a snapshot of a machine's memory. */
export type MemoryFormat = (typeof FORMATS)[number];

/**
 * Gets the packing of a memory snapshot, by its first bytes.
 *
 * @throws MachineryError when it is neither packed in a known way nor a migration stream of QEMU
 */
export function getMemoryFormat(file: string): MemoryFormat {
  const magic = readMagic(file);
  const found = findFormat(magic);
  if (found !== undefined) return found;
  throw new MachineryError(
    `${file} is no memory snapshot: neither lz4 nor gzip nor a migration stream of QEMU (it begins with ` +
      `${magic}); make one with "migrate exec:lz4 > FILE" in QEMU's monitor`,
  );
}

/** Finds the same; undefined for a file that is no memory snapshot or cannot be read. */
export function findMemoryFormat(file: string): MemoryFormat | undefined {
  try {
    return findFormat(readMagic(file));
  } catch (error) {
    if (error instanceof MachineryError) return undefined;
    throw error;
  }
}

function findFormat(start: string): MemoryFormat | undefined {
  return FORMATS.find(({ magic }) => start.startsWith(magic));
}

/** Returns the first four bytes of a file, in hexadecimal. */
function readMagic(file: string): string {
  const bytes = Buffer.alloc(4);
  try {
    const descriptor = openSync(file, "r");
    readSync(descriptor, bytes, 0, 4, 0);
    closeSync(descriptor);
  } catch (error) {
    throw new MachineryError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return bytes.toString("hex");
}

/** Returns QEMU's arguments for starting from a memory snapshot. QEMU gives the text behind exec: to a shell. */
export function getIncomingArguments(format: MemoryFormat, file: string): string[] {
  return ["-incoming", `exec:${format.reader.join(" ")} < ${quoteForShell(file)}`];
}

/** Quotes any text for a POSIX shell so that it is one word. */
export function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
