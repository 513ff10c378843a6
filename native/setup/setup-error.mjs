/** An error whose message is meant for the person at the terminal: what failed, where, and what to do next. */
export class SetupError extends Error {
  /**
   * @param {string} message what failed, where, what to do next
   * @param {{logHelps?: boolean}} options logHelps: the end of the step's log explains the failure
   */
  constructor(message, { logHelps = false } = {}) {
    super(message);
    this.name = "SetupError";
    this.logHelps = logHelps;
  }
}
