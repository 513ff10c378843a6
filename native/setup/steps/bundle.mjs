import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { loadLauncher, makeBundle } from "../bundle/make-bundle.mjs";
import { places } from "../places.mjs";

/** Makes the step that bundles the compiled files: commands start in a fraction of the time. */
export function bundleStep() {
  return {
    name: "bundle",
    isDone: () => {
      const { findBundle, getBundleFolder } = loadLauncher();
      const stamp = findBundle();
      return stamp !== undefined && existsSync(join(getBundleFolder(), stamp.file));
    },
    act: async (task) => {
      const { file, bytes } = await makeBundle();
      // The first run of a command keeps what V8 has compiled.
      await task.run(process.execPath, [join(places.build, "js/src/cli/main.js"), "--version"]);
      return `${relative(places.root, file)}, ${(bytes / 1e6).toFixed(1)} MB`;
    },
  };
}
