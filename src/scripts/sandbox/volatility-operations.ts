import type { ModuleOwner } from "../../machine/ownership/module-owner";
import { listVolatilityPlugins, runVolatility } from "../../guest/volatility/volatility";
import type { FileAccess } from "./file-access";
import type { Caller, Operations } from "./operation";

/** What a script in the sandbox may choose: what it cannot pass on as text is missing. */
interface GivenOptions {
  readonly pause?: unknown;
  readonly timeoutMs?: unknown;
  readonly outputFolder?: unknown;
}

/** Creates what is behind `volatility` in the sandbox. What runs when the script goes is ended. */
export function createVolatilityOperations(
  caller: Caller,
  owner: ModuleOwner,
  files: FileAccess,
  isPermitted: boolean,
): Operations {
  const demand = (): void => caller.demand(isPermitted, "Volatility", "volatility");
  return {
    "volatility.list": async (filter) => {
      demand();
      return (await listVolatilityPlugins(String(filter))).map((plugin) => ({ ...plugin }));
    },
    "volatility.run": async (plugin, args, given) => {
      demand();
      const { pause, timeoutMs, outputFolder } = given as GivenOptions;
      const abort = new AbortController();
      const owned = owner.own(() => abort.abort());
      try {
        const result = await runVolatility(String(plugin), (args as unknown[]).map(String), {
          pause: pause !== false,
          ...(timeoutMs === undefined ? {} : { timeoutMs: Number(timeoutMs) }),
          signal: abort.signal,
          // Without a folder that the script may use, there is none for what plugins extract.
          outputFolder: typeof outputFolder === "string" ? files.getPath(outputFolder) : null,
        });
        return { ...result };
      } finally {
        owned.release();
      }
    },
  };
}
