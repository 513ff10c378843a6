import { createRequire, Module } from "node:module";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { getBundleName, type ScriptBundle } from "./script-bundle";

type BundleFactory = (
  module: { exports: unknown },
  exports: unknown,
  require: (id: string) => unknown,
  console: Console,
  url: string,
) => void;

/** The part of Node's module loader that compiles text under a file name and keeps its source map. */
interface CompilingModule extends Module {
  _compile(code: string, filename: string): unknown;
}

let versions = 0;

/** A compiled script: its exports exist once `run` has executed its top level. */
export class ScriptModule {
  // Node keeps a source map only as long as the module it belongs to; the script's callbacks live as long as this does.
  private readonly module: CompilingModule;

  /**
   * Compiles a bundle without running any of the script's code.
   *
   * @param file the script's absolute path
   * @param bundle the compiled script
   * @throws SyntaxError when the engine refuses what the compiler let through
   */
  constructor(
    private readonly file: string,
    bundle: ScriptBundle,
  ) {
    process.setSourceMapsEnabled(true);
    const name = getBundleName(file, ++versions);
    this.module = new Module(name) as CompilingModule;
    this.module.filename = name;
    this.module._compile(bundle.code, name);
  }

  /**
   * Runs the script's top level.
   *
   * @param api what `import "rebox"` gives, in whatever folder the script lies
   * @param console the script's `console`
   * @returns the script's exports
   * @throws whatever the script throws
   */
  run(api: object, console: Console): Readonly<Record<string, unknown>> {
    const factory = this.module.exports as BundleFactory;
    const requireFromScript = createRequire(this.file);
    const require = Object.assign((id: string) => (id === "rebox" ? api : requireFromScript(id)), requireFromScript);
    const module = { exports: {} as unknown, filename: this.file, path: dirname(this.file), require };
    factory(module, module.exports, require, console, pathToFileURL(this.file).href);
    return (module.exports ?? {}) as Record<string, unknown>;
  }
}
