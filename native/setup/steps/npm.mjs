import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fingerprint } from "../fingerprint.mjs";
import { places } from "../places.mjs";

/** Makes the step that installs the npm packages of package-lock.json. */
export function npmStep() {
  const inputs = () => new Fingerprint().file(join(places.root, "package-lock.json"));
  return {
    name: "npm",
    isDone: () => existsSync(join(places.root, "node_modules")) && inputs().matches("npm"),
    act: async (task) => {
      task.say("installing the packages of package-lock.json");
      await task.run("npm", ["ci", "--no-audit", "--no-fund"]);
      inputs().save("npm");
      return "installed";
    },
  };
}
