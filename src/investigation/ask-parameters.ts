import { ModuleError } from "./errors";
import type { InvestigationModule, ParameterPrompt } from "./module";
import { withUnstartedRun } from "./unstarted-run";

/**
 * Has a module ask a person for the parameters of a run. Of a persistent module an instance asks that is never started, so it
 * needs no configuration, and nothing that it might register stays.
 *
 * @param name of the module, for the error
 * @throws ModuleError when the module has no paramsCreator(); UsageShown when the person gives up
 */
export function askParameters(name: string, module: InvestigationModule, prompt: ParameterPrompt): Promise<unknown> {
  return withUnstartedRun(`questions of ${name}`, module, (run) => {
    if (!run?.paramsCreator) {
      throw new ModuleError(
        `${name} asks nobody for parameters: give them on standard input, as {"class":"parameters","parameters":{…}}`,
      );
    }
    return run.paramsCreator(prompt);
  });
}
