/** A trigger that cannot be found, compiled, loaded or attached. Nothing was changed. */
export class TriggerError extends Error {
  override readonly name = "TriggerError";
}
