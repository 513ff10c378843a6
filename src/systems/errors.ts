import { ReboxError } from "../config/rebox-error";

/**
 * Reports that bytes of the guest's memory could not be read by rebox's own walk of the page tables: nothing is mapped at a
 * virtual address, or there is no RAM at a physical one. Everything that reads a system out of memory throws it, for a
 * running machine and for an image alike.
 *
 * Its counterpart is MemoryError of src/machine: that is thrown where QEMU is asked to read or write (readVa(), writePa()
 * and the like), which needs a running machine and knows ROM and devices too.
 */
export class AddressError extends ReboxError {
  override readonly code = "REBOX_ADDRESS";

  /**
   * @param address the first address that could not be read
   * @param what "virtual" when nothing is mapped there, "physical" when there is no RAM
   * @param reason why nothing is mapped there, where that is known
   */
  constructor(
    readonly address: bigint,
    readonly what: "virtual" | "physical",
    reason?: string,
  ) {
    super(
      what === "virtual"
        ? `nothing is mapped at 0x${address.toString(16)}${reason === undefined ? "" : `: ${reason}`}`
        : `physical address 0x${address.toString(16)} is not RAM`,
    );
  }
}

/** Reports that a file is no memory image that rebox can read, is damaged, or could not be written. */
export class ImageError extends ReboxError {
  override readonly code = "REBOX_IMAGE";
}

/** Reports that bytes that should be BTF are not, or are damaged. */
export class BtfError extends ReboxError {
  override readonly code = "REBOX_BTF";
}

/** Reports that bytes that should be an ELF file are not, are damaged, or cannot be read. */
export class ElfError extends ReboxError {
  override readonly code = "REBOX_ELF";
}

/** Reports that bytes that should be a PDB file are not, or are damaged. */
export class PdbError extends ReboxError {
  override readonly code = "REBOX_PDB";
}

/** Reports that bytes that should be a PE image are not, are damaged, or cannot be read. */
export class PeError extends ReboxError {
  override readonly code = "REBOX_PE";
}

/** Reports that symbols of an image for Windows cannot be found, read, fetched or kept. */
export class SymbolsError extends ReboxError {
  override readonly code = "REBOX_SYMBOLS";
}

/** Reports that a profile cannot be read, is damaged, or is for something else. */
export class ProfileError extends ReboxError {
  override readonly code = "REBOX_PROFILE";

  /**
   * @param path the profile's file
   * @param problem what is wrong, and what to do
   */
  constructor(
    readonly path: string,
    problem: string,
  ) {
    super(`${path}: ${problem}`);
  }
}

/** Reports that this kernel has no such struct, or the struct no such member. */
export class MissingTypeError extends ReboxError {
  override readonly code = "REBOX_MISSING_TYPE";

  /**
   * @param struct the struct's name
   * @param member the path of the member that is missing; undefined when the struct is
   * @param origin where the types come from
   */
  constructor(
    readonly struct: string,
    readonly member: string | undefined,
    readonly origin: string,
  ) {
    super(
      member === undefined
        ? `there is no struct ${struct} in ${origin}`
        : `struct ${struct} has no member ${member} in ${origin}`,
    );
  }
}

/** Reports that this kernel has no such symbol. */
export class MissingSymbolError extends ReboxError {
  override readonly code = "REBOX_MISSING_SYMBOL";

  /** @param symbol its name; several names joined by " or " */
  constructor(readonly symbol: string) {
    super(
      `this kernel has no symbol ${symbol}: it was built without the symbols of data (CONFIG_KALLSYMS_ALL) or has renamed it`,
    );
  }
}

/** Reports that the kernel's data is not as it must be: damaged, changed by malware, or in the middle of being changed. */
export class KernelDataError extends ReboxError {
  override readonly code = "REBOX_KERNEL_DATA";

  /**
   * @param what the structure that was read, for example "the list of tasks"
   * @param address where it lies, virtual
   * @param problem what is wrong there
   */
  constructor(
    readonly what: string,
    readonly address: bigint,
    problem: string,
  ) {
    super(`${what} at 0x${address.toString(16)}: ${problem}`);
  }

  /** Makes an unreadable address an error that says what was read there; other errors stay as they are. */
  static from(error: unknown, what: string, address: bigint): unknown {
    return error instanceof AddressError ? new KernelDataError(what, address, error.message) : error;
  }
}

/** The steps of finding a guest's kernel, in order. Not every system needs all of them. */
export type AttachStep = "cpu" | "image" | "page-tables" | "symbols" | "banner" | "types" | "processes";

/** The content of an AttachError as plain data. */
export interface AttachRefusal {
  /** The step that failed. */
  readonly step: AttachStep;
  /** The facts on which it failed. */
  readonly evidence: string;
  /** Advice on what to try. */
  readonly advice: string;
  /** Whether nothing speaks against a system that rebox knows: the guest has not come far enough, a later attempt may succeed. */
  readonly isEarly: boolean;
}

/** Reports that no kernel that rebox knows was found: the refusal to attach, of every system alike. */
export class AttachError extends ReboxError implements AttachRefusal {
  override readonly code: string = "REBOX_ATTACH";

  /** @param problem what a message begins with, where the kernel is not early */
  constructor(
    readonly step: AttachStep,
    readonly evidence: string,
    readonly advice: string,
    readonly isEarly = false,
    problem = "no Linux kernel found",
  ) {
    super(`${isEarly ? "no kernel yet" : `${problem} (${step})`}: ${evidence}; ${advice}`);
  }
}

/** Reports that something that is known of Linux only was asked of a guest that runs another system. */
export class OtherSystemError extends AttachError {
  override readonly code = "REBOX_OTHER_SYSTEM";

  /**
   * @param version of the system, in its own words
   * @param wanted the system that this is for
   */
  constructor(version: string, wanted: "Linux" | "Windows" = "Linux") {
    super(
      "banner",
      `the guest runs ${version}`,
      `rebox knows this of ${wanted} only; what it knows of every system is at getSystem()`,
      false,
      `this is for ${wanted} guests`,
    );
  }
}
