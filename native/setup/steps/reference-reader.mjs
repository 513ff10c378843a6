import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { places } from "../places.mjs";

/**
 * Makes the step for what tests compare with: programs from the Python package index, in an environment of their own.
 *
 * @param {"sigma" | "export" | "api" | "karton"} name of native/setup/NAME-requirements.txt, and of the folder in the cache
 */
export function referenceStep(name) {
  const requirements = join(places.root, `native/setup/${name}-requirements.txt`);
  const folder = findReference(name, requirements);
  return {
    name: `${name}-reference`,
    sharesCache: true,
    isDone: () => existsSync(join(folder, "bin/python3")),
    act: async (task) => {
      const making = `${folder}.making-${process.pid}`;
      rmSync(making, { recursive: true, force: true });
      mkdirSync(dirname(folder), { recursive: true });
      try {
        const system = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
        await task.run(system, ["-m", "venv", making]);
        const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements];
        await task.run(join(making, "bin/python3"), pip);
        renameSync(making, folder);
      } finally {
        rmSync(making, { recursive: true, force: true });
      }
      return `installed into ${folder}`;
    },
  };
}

/** As test/kit/lab/reference-python.ts has it. */
function findReference(name, requirements) {
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 16);
  return join(places.cache, `${name}/venv-${hash}`);
}
