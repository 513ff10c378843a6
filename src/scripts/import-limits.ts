import { realpathSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import type { Plugin } from "esbuild";

/** The compiler reads text, CSS and binary files too; a script in the sandbox would have their contents. */
const CODE = /\.([cm]?[jt]sx?|json)$/;

/**
 * Creates the esbuild plugin that keeps a script in the sandbox from importing, and so reading, whatever lies on the disk:
 * it may import code and JSON in its own folder and below, and from npm packages that its folder sees.
 *
 * @param script the script's absolute path
 */
export function createImportLimits(script: string): Plugin {
  const folder = realpathSync(dirname(script));
  const packageFolders: string[] = [];
  for (let above = folder; above !== dirname(above); above = dirname(above)) {
    packageFolders.push(join(above, "node_modules"));
  }
  return {
    name: "rebox-import-limits",
    setup(build) {
      build.onLoad({ filter: /.*/ }, ({ path }) => {
        const file = realpathSync(path);
        const isAllowed = isBelow(folder, file) || packageFolders.some((packages) => isBelow(packages, file));
        if (isAllowed && CODE.test(file)) return undefined;
        const reason = isAllowed ? "it is neither code nor JSON" : `it is not below ${folder}`;
        return { errors: [{ text: `a script in the sandbox cannot import ${path}: ${reason}` }] };
      });
    },
  };
}

function isBelow(folder: string, file: string): boolean {
  const path = relative(folder, file);
  return path !== "" && path !== ".." && !path.startsWith(`..${sep}`);
}
