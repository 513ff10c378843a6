/** QEMU refused its arguments, or only printed what was asked for. The process can build no other machine. */
export class EngineStartError extends Error {
  override readonly name = "EngineStartError";

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
export class EngineUsageError extends Error {
  override readonly name = "EngineUsageError";
}

/** QEMU answered a QMP command with an error. */
export class QmpError extends Error {
  override readonly name = "QmpError";

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
