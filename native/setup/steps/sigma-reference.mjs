import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { places } from "../places.mjs";

const REQUIREMENTS = join(places.root, "native/setup/sigma-requirements.txt");

/** Makes the step for what the tests compare the matching of Sigma rules with: pySigma from the Python package index. */
export function sigmaReferenceStep() {
  const folder = findSigmaReference();
  return {
    name: "sigma-reference",
    sharesCache: true,
    isDone: () => existsSync(join(folder, "bin/python3")),
    act: async (task) => {
      const making = `${folder}.making-${process.pid}`;
      rmSync(making, { recursive: true, force: true });
      mkdirSync(dirname(folder), { recursive: true });
      try {
        const system = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
        await task.run(system, ["-m", "venv", making]);
        const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS];
        await task.run(join(making, "bin/python3"), pip);
        renameSync(making, folder);
      } finally {
        rmSync(making, { recursive: true, force: true });
      }
      return `installed into ${folder}`;
    },
  };
}

/** As test/kit/lab/sigma-reference.ts has it. */
function findSigmaReference() {
  const hash = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 16);
  return join(places.cache, `sigma/venv-${hash}`);
}
