import { AddressError } from "../../memory/address-error";

/** The kernel's data is not what it must be: damaged, changed by malware, or in the middle of being changed. */
export class KernelDataError extends Error {
  override readonly name = "KernelDataError";

  /**
   * @param what the structure that was read, for example "the list of tasks"
   * @param address where, virtual
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
