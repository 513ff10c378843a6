import { ModuleOwner } from "../machine/ownership/module-owner";
import { GuestContext } from "./context";
import type { InvestigationModule } from "./module";
import { InstanceContext } from "./persistent/instance";

/** The time that a module has before its first await, in milliseconds. */
const LIMIT_MS = 1000;

/** A run of a module that answers questions about its parameters. */
export type UnstartedRun = ReturnType<NonNullable<InvestigationModule["newRun" | "newPersistentRun"]>>;

/**
 * Makes a run of a module that is asked and never started: of a persistent one an instance, which needs no configuration. Nothing
 * that it might register stays.
 *
 * @param purpose what for, for the name of its owner
 * @param ask is called with the run; undefined for a module that makes none
 */
export async function withUnstartedRun<Result>(
  purpose: string,
  module: InvestigationModule,
  ask: (run: UnstartedRun | undefined) => Result | Promise<Result>,
): Promise<Result> {
  const { signal } = new AbortController();
  const listener = { log: () => undefined, alert: () => undefined };
  const owner = new ModuleOwner(purpose);
  try {
    return await ask(
      module.newRun?.(new GuestContext(signal, listener, LIMIT_MS)) ??
        module.newPersistentRun?.(new InstanceContext(signal, listener, LIMIT_MS, owner)),
    );
  } finally {
    owner.close();
  }
}
