import { existsSync, readFileSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import type { OnResolveResult, Plugin } from "esbuild";

/**
 * Creates the esbuild plugin that resolves a script's bare imports: Node's own modules stay imports; npm packages are found from the folder of the file that imports them and stay imports too, by absolute path,
 * so that a package is one instance in the process; packages that exist only as ES modules are bundled, because
 * require() of one does not work in every Node that rebox supports.
 *
 * @param bundlesPackages every package is bundled: a script in the sandbox has no require()
 */
export function createPackageImports(bundlesPackages = false): Plugin {
  return {
    name: "rebox-package-imports",
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path, importer, kind }): OnResolveResult | undefined => {
        if (kind === "entry-point") return undefined;
        if (isBuiltin(path)) return { path, external: true };
        const file = findPackageFile(path, importer);
        return file === undefined ? undefined : { path: file, external: !bundlesPackages && !isEsModule(file) };
      });
    },
  };
}

/** Finds the file that require(path) would load, or undefined when Node does not find one. */
function findPackageFile(path: string, importer: string): string | undefined {
  try {
    return createRequire(importer).resolve(path);
  } catch {
    // Missing, an alias of the script's tsconfig.json, or without a CommonJS entry: esbuild knows, and words the error.
    return undefined;
  }
}

function isEsModule(file: string): boolean {
  return file.endsWith(".mjs") || (file.endsWith(".js") && isInEsModulePackage(file));
}

function isInEsModulePackage(file: string): boolean {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (!existsSync(manifest)) continue;
    try {
      return (JSON.parse(readFileSync(manifest, "utf8")) as { type?: unknown }).type === "module";
    } catch {
      return false;
    }
  }
  return false;
}
