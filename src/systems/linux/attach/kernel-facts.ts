import type { KallsymsLocation } from "../../symbols/kallsyms/kallsyms-location";

/** The version of this record: another one is not read. */
const FORMAT = 1;

/**
 * The facts that are remembered of a kernel, so that the next guest with it is attached to at once: places within its image and its
 * structs, never content of a guest.
 */
export interface KernelFacts {
  readonly format: typeof FORMAT;
  readonly banner: string;
  /** Hexadecimal. */
  readonly buildId: string;
  /** Its place in the image, in bytes from the image's start, as all places here. */
  readonly buildIdAt: number;
  readonly kallsyms: KallsymsLocation;
  readonly btfAt: number;
  readonly btfSize: number;
  readonly symbols: Readonly<Record<string, number>>;
  /** "struct.member" and the member's offset. */
  readonly offsets: Readonly<Record<string, number>>;
}

/** A store for facts of kernels. Neither function throws: without the memory everything is only slower. */
export interface KernelMemory {
  /**
   * Finds what is remembered.
   *
   * @param entry the key, which differs between most kernels: the distance of the entry for system calls from the image's start
   */
  find(entry: string): readonly string[];
  /** Remembers facts, as JSON. */
  save(entry: string, buildId: string, facts: string): void;
}

/** Reads a record that may be damaged or come from another version of rebox. */
export function parseKernelFacts(text: string): KernelFacts | undefined {
  let facts: Partial<KernelFacts> | null;
  try {
    facts = JSON.parse(text) as Partial<KernelFacts> | null;
  } catch {
    return undefined;
  }
  const isNumber = (value: unknown): boolean => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
  const areNumbers = (record: unknown): boolean =>
    typeof record === "object" && record !== null && Object.values(record).every(isNumber);
  const isWhole =
    facts?.format === FORMAT &&
    typeof facts.banner === "string" &&
    typeof facts.buildId === "string" &&
    /^[0-9a-f]{8,}$/.test(facts.buildId) &&
    [facts.buildIdAt, facts.btfAt, facts.btfSize].every(isNumber) &&
    typeof facts.kallsyms === "object" &&
    areNumbers(facts.symbols) &&
    areNumbers(facts.offsets);
  return isWhole ? (facts as KernelFacts) : undefined;
}

/** Makes a record. */
export function createKernelFacts(facts: Omit<KernelFacts, "format">): KernelFacts {
  return { format: FORMAT, ...facts };
}
