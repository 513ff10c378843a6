import { resolve } from "node:path";

const PROJECT = resolve(__dirname, "../../../..");

/**
 * Lines for a trusted script: `investigate(module, parameters)` runs an investigation module of rebox in its process and gives the run's
 * result, `newRun(module)` a run.
 */
export const INVESTIGATE = `
  import { createRequire } from "node:module";
  // Not bundled: what is used is what rebox itself has loaded.
  const requireBuilt = createRequire(${JSON.stringify(`${PROJECT}/`)});
  const rebox = requireBuilt("./build/js/src/index.js");
  const loaded = new Set<string>();
  async function newRun(name: string, signal = new AbortController().signal): Promise<any> {
    if (!loaded.has(name)) {
      const { loadTrustedFile } = requireBuilt("./build/js/src/scripts/trusted-file.js");
      await loadTrustedFile(${JSON.stringify(PROJECT)} + "/modules/investigation/" + name + ".ts", name, rebox);
      loaded.add(name);
    }
    const { getProcessModules } = requireBuilt("./build/js/src/investigation/investigation-registry.js");
    return getProcessModules().find(name).module.newRun({
      signal, vantage: "engine", getGuest: rebox.getGuest, pausedMs: 0, folder: undefined,
      whilePaused: async (look: () => unknown) => look(),
      turn: async () => new Promise((done) => setImmediate(done)),
      log: () => undefined, alert: () => undefined,
    });
  }
  async function investigate(name: string, parameters: unknown): Promise<any> {
    const run = await newRun(name);
    const line = JSON.stringify({ class: "parameters", parameters }) + "\\n";
    return JSON.parse(await run.run((async function* () { yield line; })()));
  }
`;
