import { Engine } from "../../src/doors/rebox";

/**
 * Builds this process' machine, ends the process with it, and also when the measuring process is gone.
 *
 * @param argv QEMU's arguments
 * @returns the engine, not yet running
 */
export function createMachine(argv: readonly string[]): Engine {
  const engine = Engine.create(argv);
  void engine.ended.then(({ reason, message }) => {
    if (reason === "crashed") {
      console.error(message);
    }
    process.exit(reason === "crashed" ? 1 : 0);
  });
  process.once("disconnect", () => process.exit(1));
  return engine;
}
