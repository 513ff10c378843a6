import type { InvestigationCatalog, RegisteredModule } from "./catalog";
import { UsageShown } from "./errors";
import type { ParameterSchema } from "./parameters";
import { describeFailure } from "./result";
import { withUnstartedRun } from "./unstarted-run";

/** A module for those who ask by it: a form can be made of this. */
export interface ModuleDescription {
  readonly name: string;
  /** It is started once in an engine, and then asked. */
  readonly isPersistent: boolean;
  /** The parameters; null for a module that does not say. */
  readonly parameters: ParameterSchema | null;
  /** The explanation of its flags; empty when it has none. */
  readonly help: string;
}

/** A file of modules that cannot be used, or a module that cannot be described, with the reason. */
export interface UndescribedModule {
  readonly origin: string;
  readonly reason: string;
}

/** Describes all modules, without a guest. */
export async function describeModules(
  catalog: InvestigationCatalog,
): Promise<{ readonly modules: ModuleDescription[]; readonly problems: UndescribedModule[] }> {
  const { modules, refused } = await catalog.list();
  const described: ModuleDescription[] = [];
  const problems = refused.map(({ file, message }): UndescribedModule => ({ origin: file, reason: message }));
  for (const module of modules) {
    try {
      described.push(await describeModule(module));
    } catch (error) {
      problems.push({ origin: `the module ${module.name} of ${module.origin}`, reason: describeFailure(error) });
    }
  }
  return { modules: described, problems };
}

function describeModule({ name, module }: RegisteredModule): Promise<ModuleDescription> {
  return withUnstartedRun(`description of ${name}`, module, (run) => ({
    ...{ name, isPersistent: module.newRun === undefined },
    ...{ parameters: run?.describeParameters?.() ?? null, help: readHelp(() => run?.paramsParser?.(["help"])) },
  }));
}

function readHelp(ask: () => unknown): string {
  try {
    ask();
  } catch (error) {
    if (error instanceof UsageShown) return error.message;
  }
  return "";
}
