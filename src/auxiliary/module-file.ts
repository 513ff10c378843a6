import { createRequire, Module } from "node:module";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { bundleScript, getBundleName } from "../scripts/script-bundle";

interface CompilingModule extends Module {
  _compile(code: string, filename: string): unknown;
}

type BundleFactory = (module: { exports: unknown }, exports: unknown, ...rest: unknown[]) => void;

let versions = 0;

/**
 * Compiles and runs a file of the lab, which is trusted: it can do all that Node can.
 *
 * Nothing is kept: a file that has changed is the new one the next time.
 *
 * @param file absolute path of a TypeScript or JavaScript file
 * @param name what errors call it
 * @param api what `import "rebox"` gives
 * @returns what the file exports
 * @throws ScriptError when it cannot be read or compiled, with the place; whatever the file throws
 */
export async function loadModuleFile(
  file: string,
  name: string,
  api: object,
): Promise<Readonly<Record<string, unknown>>> {
  const bundle = await bundleScript(file, name);
  process.setSourceMapsEnabled(true);
  const bundleName = getBundleName(file, ++versions);
  const compiled = new Module(bundleName) as CompilingModule;
  compiled.filename = bundleName;
  const map = Buffer.from(bundle.sourceMap).toString("base64");
  const comment = `//# sourceMappingURL=data:application/json;base64,${map}`;
  compiled._compile(`module.exports = ${bundle.code}\n${comment}\n`, bundleName);
  const requireFromFile = createRequire(file);
  const require = Object.assign((id: string) => (id === "rebox" ? api : requireFromFile(id)), requireFromFile);
  const module = { exports: {} as unknown, filename: file, path: dirname(file), require };
  (compiled.exports as BundleFactory)(
    ...([module, module.exports, require, console, pathToFileURL(file).href] as const),
    ...[setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate],
  );
  return (module.exports ?? {}) as Record<string, unknown>;
}
