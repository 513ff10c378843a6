import { ModuleOwner } from "../machine/ownership/module-owner";
import { GuestContext } from "./context";
import { ModuleError } from "./errors";
import type { InvestigationModule, ParameterPrompt } from "./module";
import { InstanceContext } from "./persistent/instance";

/** The time that a module has before its first await, in milliseconds. */
const LIMIT_MS = 1000;

/**
 * Has a module ask a person for the parameters of a run. Of a persistent module an instance asks that is never started, so it
 * needs no configuration, and nothing that it might register stays.
 *
 * @param name of the module, for the error
 * @throws ModuleError when the module has no paramsCreator(); UsageShown when the person gives up
 */
export async function askParameters(
  name: string,
  module: InvestigationModule,
  prompt: ParameterPrompt,
): Promise<unknown> {
  const { signal } = new AbortController();
  const listener = { log: () => undefined, alert: () => undefined };
  const owner = new ModuleOwner(`questions of ${name}`);
  try {
    const run =
      module.newRun?.(new GuestContext(signal, listener, LIMIT_MS)) ??
      module.newPersistentRun?.(new InstanceContext(signal, listener, LIMIT_MS, owner));
    if (!run?.paramsCreator) {
      throw new ModuleError(
        `${name} asks nobody for parameters: give them on standard input, as {"class":"parameters","parameters":{…}}`,
      );
    }
    return await run.paramsCreator(prompt);
  } finally {
    owner.close();
  }
}
