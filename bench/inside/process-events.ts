/** Listens to processes that begin and end, or does not: process-events watched|modules|unwatched <QEMU's arguments> */

import { CallbackManager } from "../../src/doors/rebox";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

/** What was counted from the sign to the machine's end. */
export interface ProcessEventsReport {
  readonly calls: number;
}

const MODULE_HANDLE = 1;

async function main([variant, ...argv]: readonly string[]): Promise<void> {
  const engine = createMachine(argv);
  let calls = 0;
  const count = (): void => {
    calls++;
  };
  engine.run();
  await waitToProceed();
  if (variant !== "unwatched") {
    const callbacks = new CallbackManager(MODULE_HANDLE);
    callbacks.addCallback("CREATEPROC_CB", count);
    callbacks.addCallback("REMOVEPROC_CB", count);
    if (variant === "modules") callbacks.addCallback("LOADMODULE_CB", count);
  }
  calls = 0;
  process.send?.({});
  // The process ends with the machine, just after this.
  engine.on("shutdown", () => {
    const report: ProcessEventsReport = { calls };
    process.send?.(report);
  });
}

void main(process.argv.slice(2));
