/**
 * Runs a guest with a subscription that no event passes: rejected-events <variant> <QEMU's arguments>
 *
 * At each sign it reports how many events have been rejected so far.
 */

import { join } from "node:path";
import { ALL_PROCESSES, CallbackManager, listCallbacks, startMonitoringProcess } from "../../src/doors/rebox";
import { getProjectFolder } from "../../src/config/folders";
import { NOWHERE } from "../reference-plugin";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

export type RejectingVariant = "filtered-blocks" | "filtered-insns" | "trigger" | "other-process";

export interface RejectedEventsReport {
  readonly rejected: number;
}

const MODULE_HANDLE = 1;

function unexpected(): void {
  throw new Error("an event has passed that must not");
}

function subscribe(variant: RejectingVariant): void {
  const cm = new CallbackManager(MODULE_HANDLE);
  const filter = { pc: { from: NOWHERE.first, to: NOWHERE.last + 1n } };
  if (variant === "other-process") {
    // An address space that no process has: all others are measured.
    startMonitoringProcess(NOWHERE.first);
    for (const type of ["BLOCK_BEGIN_CB", "INSN_BEGIN_CB", "MEM_READ_CB", "MEM_WRITE_CB"] as const) {
      cm.addCallback(type, unexpected);
    }
    return;
  }
  startMonitoringProcess(ALL_PROCESSES);
  if (variant === "trigger") {
    cm.addTrigger(cm.addCallback("BLOCK_BEGIN_CB", unexpected), join(getProjectFolder(), "bench/native/reject.c"));
  } else {
    cm.addCallback(variant === "filtered-blocks" ? "BLOCK_BEGIN_CB" : "INSN_BEGIN_CB", unexpected, { filter });
  }
}

async function main([variant, ...argv]: readonly string[]): Promise<void> {
  const engine = createMachine(argv);
  subscribe(variant as RejectingVariant);
  engine.run();
  for (;;) {
    await waitToProceed();
    const report: RejectedEventsReport = {
      rejected: listCallbacks().reduce((sum, { filtered }) => sum + filtered, 0),
    };
    process.send?.(report);
  }
}

void main(process.argv.slice(2));
