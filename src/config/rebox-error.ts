/**
 * The base of every error that rebox throws on purpose. Its message says what happened, where, and what to do next; its
 * code is stable from version to version, so programs compare codes and never messages.
 */
export abstract class ReboxError extends Error {
  /** The stable code, "REBOX_" and a name: docs/reference/errors.md lists all. */
  abstract readonly code: string;

  /**
   * Makes an error whose name is that of its class.
   * @param message what happened, where, and what to do next
   * @param options the cause, where there is one
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}
