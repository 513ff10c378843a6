import { createRequire, Module } from "node:module";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import type { ModuleOwner } from "../machine/ownership/module-owner";
import { callWithin } from "../config/limits";
import { showSourcePlaces } from "../config/source-places";
import type { Door, Doors } from "./loading/doors";
import type { Hot } from "./script-api";
import { createOwnedTimers } from "./owned-timers";
import { getBundleName, type ScriptBundle } from "./loading/script-bundle";
import { createRequiredModule, type FindRequired } from "./loading/required-imports";
import type { ScriptRuntime } from "./script-runtime";

type BundleFactory = (module: { exports: unknown }, exports: unknown, ...rest: unknown[]) => void;

/** The part of Node's module loader that compiles text under a file name and keeps its source map. */
interface CompilingModule extends Module {
  _compile(code: string, filename: string): unknown;
}

let versions = 0;

/** A trusted script: it runs in rebox's own realm, with all that Node offers. */
export class ScriptModule implements ScriptRuntime {
  // Node keeps a source map only as long as the module it belongs to; the script's callbacks live as long as this does.
  private readonly module: CompilingModule;
  private exported: Readonly<Record<string, unknown>> = {};

  /**
   * Compiles a bundle without running any of the script's code.
   *
   * @param file the script's absolute path
   * @param bundle the compiled script
   * @param owner disposes of the script's timers
   * @param api the doors of the script, in any folder in which it may lie
   * @param hot the script's part of it
   * @param console the script's `console`
   * @param findRequired finds the scripts that it requires
   * @throws SyntaxError when the engine refuses code that the compiler let through
   */
  constructor(
    private readonly file: string,
    bundle: ScriptBundle,
    private readonly owner: ModuleOwner,
    private readonly api: Doors,
    private readonly hot: Hot,
    private readonly console: Console,
    private readonly findRequired: FindRequired = () => undefined,
  ) {
    showSourcePlaces();
    const name = getBundleName(file, ++versions);
    this.module = new Module(name) as CompilingModule;
    this.module.filename = name;
    const map = Buffer.from(bundle.sourceMap).toString("base64");
    const comment = `//# sourceMappingURL=data:application/json;base64,${map}`;
    this.module._compile(`module.exports = ${bundle.code}\n${comment}\n`, name);
  }

  run(): Readonly<Record<string, unknown>> {
    const factory = this.module.exports as BundleFactory;
    const requireFromScript = createRequire(this.file);
    const require = Object.assign((id: string) => {
      if (Object.hasOwn(this.api, id)) return this.api[id as Door];
      return createRequiredModule(() => this.findRequired(id)) ?? (requireFromScript(id) as unknown);
    }, requireFromScript);
    const module = { exports: {} as unknown, filename: this.file, path: dirname(this.file), require };
    const timers = createOwnedTimers(this.owner);
    const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;
    factory(
      ...([module, module.exports as object, require, this.console, pathToFileURL(this.file).href] as const),
      ...[setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate],
    );
    this.exported = (module.exports ?? {}) as Record<string, unknown>;
    return this.exported;
  }

  listExports(): string[] {
    return Object.keys(this.exported);
  }

  readExport(name: string): unknown {
    return Object.hasOwn(this.exported, name) ? this.exported[name] : undefined;
  }

  start(): void {
    // Its callback managers are given the handle by the script itself.
  }

  call<Result>(call: () => Result, limitMs: number): Result {
    return callWithin(limitMs, call);
  }

  copyHotData(): unknown {
    return structuredClone(this.hot.data);
  }

  findError(): Error | undefined {
    return undefined;
  }
}
