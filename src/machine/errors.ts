import { ReboxError } from "../config/rebox-error";
import { MemoryResult } from "./engine/native";

/** QEMU refused its arguments, or only printed what was asked for. The process can build no other machine. */
export class EngineStartError extends ReboxError {
  override readonly code = "REBOX_ENGINE_START";

  /**
   * @param message what QEMU reported; QEMU has also written it to stderr
   * @param exitStatus the status that QEMU wanted to end with; 0 after `-help` and the like
   */
  constructor(
    message: string,
    readonly exitStatus: number,
  ) {
    super(message);
  }
}

/** The engine was used in a way that cannot work; the message says what to do instead. */
export class EngineUsageError extends ReboxError {
  override readonly code = "REBOX_ENGINE_USAGE";
}

/** QEMU answered a QMP command with an error. */
export class QmpError extends ReboxError {
  override readonly code = "REBOX_QMP";

  /**
   * @param command the QMP command
   * @param errorClass QMP's error class, for example "GenericError" or "CommandNotFound"
   * @param description QEMU's own words
   */
  constructor(
    readonly command: string,
    readonly errorClass: string,
    description: string,
  ) {
    super(`${command}: ${description}`);
  }
}

function describeMemoryResult(result: MemoryResult, address: bigint, pgd: bigint | undefined): string {
  const where = `0x${address.toString(16)}`;
  switch (result) {
    case MemoryResult.Unmapped:
      return `nothing is mapped at ${where} in the address space of pgd 0x${(pgd ?? 0n).toString(16)}`;
    case MemoryResult.ReadOnly:
      return `physical address ${where} is ROM and cannot be written`;
    default:
      return `physical address ${where} is not RAM: nothing or a device answers there`;
  }
}

/**
 * Reports that QEMU could not read or write an address of the running guest.
 *
 * Its counterpart is AddressError of src/systems: that is thrown where rebox walks page tables by itself to read a system out
 * of bytes, of a running machine or of an image, and knows of reading only.
 */
export class MemoryError extends ReboxError {
  override readonly code = "REBOX_MEMORY";

  /**
   * @param result what is wrong with the address
   * @param address the first address that could not be accessed: virtual when unmapped, else physical
   * @param pgd the address space, for a virtual access
   */
  constructor(
    result: MemoryResult,
    readonly address: bigint,
    readonly pgd?: bigint,
  ) {
    super(describeMemoryResult(result, address, pgd));
  }
}

/** A trigger that cannot be found, compiled, loaded or attached. Nothing was changed. */
export class TriggerError extends ReboxError {
  override readonly code = "REBOX_TRIGGER";
}

const RECORDED =
  "the machine is recorded or replayed, and the log has only what came from its devices; write in a guest of `rebox run`";

/** Refuses what would change a guest that is recorded or replayed: the replay would depart from the recording. */
export class RecordedError extends ReboxError {
  override readonly code = "REBOX_RECORDED";

  /** @param what is refused, as the subject of a sentence: "RAX cannot be written" */
  constructor(what: string) {
    super(`${what}: ${RECORDED}`);
  }
}

/** A machine that cannot be recorded, or a recording that cannot be made, read or replayed. */
export class RecordingError extends ReboxError {
  override readonly code = "REBOX_RECORDING";
}
