/** Counts the calls of CONTEXTCHANGE_CB between two signs: context-changes watched|unwatched <QEMU's arguments> */

import { CallbackManager } from "../../src/doors/rebox";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

/** What was counted between the two signs. */
export interface ContextChangesReport {
  readonly calls: number;
  readonly elapsedMs: number;
}

const MODULE_HANDLE = 1;

async function main([variant, ...argv]: readonly string[]): Promise<void> {
  const engine = createMachine(argv);
  let calls = 0;
  if (variant === "watched") {
    new CallbackManager(MODULE_HANDLE).addCallback("CONTEXTCHANGE_CB", () => {
      calls++;
    });
  }
  engine.run();
  await waitToProceed();
  const before = { calls, nowMs: performance.now() };
  await waitToProceed();
  const report: ContextChangesReport = { calls: calls - before.calls, elapsedMs: performance.now() - before.nowMs };
  process.send?.(report);
}

void main(process.argv.slice(2));
