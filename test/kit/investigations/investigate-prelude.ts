import { PROJECT } from "../project";

/**
 * Lines for a trusted script: `investigate(module, parameters)` runs an investigation module of rebox in its process and gives the run's
 * result, `newRun(module)` a run.
 */
export const INVESTIGATE = `
  import { createRequire } from "node:module";
  // Not bundled: what is used is what rebox itself has loaded.
  const requireBuilt = createRequire(${JSON.stringify(`${PROJECT}/`)});
  const { doors } = requireBuilt("./build/js/src/doors/doors.js");
  const { getInvestigations } = requireBuilt("./build/js/src/investigation/open-investigations.js");
  const { runOperation } = requireBuilt("./build/js/src/investigation/run-operations.js");
  const { GuestContext } = requireBuilt("./build/js/src/investigation/context.js");
  const host = () => getInvestigations(() => doors);
  async function newRun(name: string): Promise<any> {
    const listener = { log: () => undefined, alert: () => undefined };
    const context = new GuestContext(new AbortController().signal, listener, 60_000, undefined);
    return (await host().catalog.get(name)).module.newRun(context);
  }
  async function investigate(module: string, parameters: unknown): Promise<any> {
    return (await runOperation(host(), { module, parameters }, { timeoutMs: 120_000 })).result;
  }
`;
