import { existsSync, readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { places } from "../places.mjs";
import { SetupError } from "../setup-error.mjs";

/** The file that pins Volatility and what it needs. */
export const VOLATILITY_REQUIREMENTS = join(places.root, "native/setup/volatility-requirements.txt");

/** Makes the step that installs the Volatility 3 that the tests use, as `rebox vol install` does. */
export function volatilityStep() {
  return {
    name: "volatility",
    sharesCache: true,
    isDone: () => existsSync(join(volatilityFolder(), "bin/vol")),
    act: async (task) => {
      task.say("fetching Volatility 3 from the Python package index");
      try {
        await task.run(process.execPath, [join(places.build, "js/src/cli/main.js"), "vol", "install"]);
      } catch (error) {
        throw new SetupError(error.message, { logHelps: true });
      }
      return `installed into ${volatilityFolder()}`;
    },
  };
}

/** The folder of the virtual environment, as src/guest/volatility/volatility-places.ts has it. */
export function volatilityFolder() {
  const hash = createHash("sha256").update(readFileSync(VOLATILITY_REQUIREMENTS)).digest("hex").slice(0, 16);
  return join(places.cache, `volatility/venv-${hash}`);
}
