/** A command line that cannot be carried out as it is written. Its message is for the person who wrote it. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}
