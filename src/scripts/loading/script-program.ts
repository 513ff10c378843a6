import { fileURLToPath } from "node:url";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { inspect } from "node:util";
import type { ScriptPermissions } from "../../config/script-permissions";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import { MemoryLimitError, TimeLimitError } from "../../config/errors";
import type { Doors } from "./doors";
import type { Hot } from "../script-api";
import { SandboxedScript } from "../sandbox/sandboxed-script";
import { createScriptApi } from "../script-api";
import { bundleScript, type ScriptBundle } from "./script-bundle";
import type { ScriptCommand } from "../script-commands";
import type { FindRequired, RequiredScript } from "./required-imports";
import { getContract, type ScriptContract } from "../script-contract";
import { ScriptError } from "../errors";
import type { ScriptLimits } from "../script-host-options";
import { ScriptModule } from "../script-module";
import type { ScriptRuntime } from "../script-runtime";
import { describeThrown, wrapThrown } from "../script-stack";
import { waitAtMost } from "../../config/limits";

/** The surroundings of a script's code. */
export interface ScriptSurroundings {
  /** The parts of rebox that scripts can import. */
  readonly api: Doors;
  readonly console: Console;
  /** Finds the scripts that this one requires. */
  readonly findRequired: FindRequired;
  /** Receives errors that arise outside of any call of rebox: in timers and promises. */
  onStrayError(error: Error): void;
  /** The hot.data of the version before; undefined when there was none. */
  readonly hotData: unknown;
}

/** The life of one version of a script: compile, evaluate, initialize, clean. Its errors become ScriptErrors. */
export class ScriptProgram implements RequiredScript {
  /** Owns all that this version registers. */
  readonly owner: ModuleOwner;
  private runtime: ScriptRuntime | undefined;
  private contract: ScriptContract | undefined;
  private cleaning: Promise<void> | undefined;

  private constructor(
    readonly name: string,
    readonly file: string,
    private readonly bundle: ScriptBundle,
    readonly permissions: ScriptPermissions,
    private readonly limits: ScriptLimits,
  ) {
    this.owner = new ModuleOwner(name, dirname(file));
  }

  /**
   * Compiles a script; none of its code runs.
   *
   * @param name the script's module name
   * @param file the script's absolute path
   * @param api what scripts can import of rebox
   * @param required absolute paths of the scripts that it requires, with those that they require
   * @throws ScriptError with the place of a syntax error or a missing import
   */
  static async compile(
    name: string,
    file: string,
    permissions: ScriptPermissions,
    limits: ScriptLimits,
    api: Doors,
    required: readonly string[],
  ): Promise<ScriptProgram> {
    const { isTrusted } = permissions;
    const [bundle] = await Promise.all([
      bundleScript(file, name, api, isTrusted, required),
      isTrusted ? undefined : SandboxedScript.prepare(),
    ]);
    return new ScriptProgram(name, file, bundle, permissions, limits);
  }

  /** Absolute paths of everything compiled into the script. */
  get files(): readonly string[] {
    return this.bundle.files;
  }

  /** The texts of its files as the compiler has read them, by absolute path; files of which no code is left are missing. */
  readTexts(): ReadonlyMap<string, string> {
    const { sources, sourcesContent = [] } = JSON.parse(this.bundle.sourceMap) as { sources: string[]; sourcesContent?: (string | null)[] }; // prettier-ignore
    return new Map(sources.flatMap((url, index) => (sourcesContent[index] == null ? [] : [[fileURLToPath(url), sourcesContent[index]]]))); // prettier-ignore
  }

  /** The code that it is compiled to. */
  get code(): string {
    return this.bundle.code;
  }

  /** Absolute paths of everything that this version is made of: what is compiled into it, and the sources of its triggers. */
  get sources(): readonly string[] {
    return [...this.bundle.files, ...this.owner.usedFiles];
  }

  /** The compiler's warnings, one text each, beginning with file:line:column. */
  get warnings(): readonly string[] {
    return this.bundle.warnings;
  }

  /** The names of its commands. */
  get commandNames(): readonly string[] {
    return [...(this.contract?.commands.keys() ?? [])];
  }

  /**
   * Runs the script's top level and checks its exports.
   *
   * @returns the names of the scripts it requires
   * @throws ScriptError when the top level throws or an export is missing; nothing that it registered is left then
   */
  evaluate(surroundings: ScriptSurroundings): readonly string[] {
    try {
      const runtime = this.createRuntime(surroundings);
      this.runtime = runtime;
      this.contract = getContract(
        runtime.call(() => runtime.run(), this.limits.callMs),
        this.name,
        this.file,
      );
      return this.contract.requirements;
    } catch (error) {
      const failure = error instanceof ScriptError ? error : this.wrap(error, "its top level");
      this.owner.close();
      throw failure;
    }
  }

  /**
   * Calls initialize_callbacks() and waits for what it returns; when that fails, calls clean() before throwing.
   *
   * @param handle the script's module handle
   * @param print receives each text that the script prints
   * @throws ScriptError with the script's own stack
   */
  async initialize(handle: number, print: (text: string) => void): Promise<void> {
    const printer = (text: unknown) => print(typeof text === "string" ? text : inspect(text));
    try {
      this.runtime?.start(handle);
      await this.call(() => this.contract?.initialize_callbacks(handle, printer));
    } catch (error) {
      // The error that counts is this one: what clean() makes of a script that is half initialised is secondary.
      const failure = this.wrap(error, "initialize_callbacks()");
      await this.clean().catch(() => undefined);
      throw failure;
    }
  }

  /** The script's commands, ready to be run. */
  createCommands(): ScriptCommand[] {
    const help = findDocumentation(this.files);
    return [...(this.contract?.commands ?? [])].map(([name, command]) => ({
      name,
      help: help.get(`do_${name}`) ?? "",
      script: this.name,
      owner: this.owner,
      run: async (line) => {
        try {
          const result = await this.call(() => command(line));
          return typeof result === "string" ? result : undefined;
        } catch (error) {
          throw this.wrap(error, `do_${name}()`);
        }
      },
    }));
  }

  /**
   * Copies what the script wants to survive its reload.
   *
   * @throws ScriptError when that cannot be copied
   */
  copyHotData(): unknown {
    try {
      return this.runtime?.copyHotData();
    } catch (error) {
      const problem = `hot.data cannot be copied for the new version: ${describeThrown(error)}`;
      throw new ScriptError(this.name, problem, { file: this.file });
    }
  }

  /** Calls clean() once and waits for what it returns. Throws ScriptError when it throws, or takes longer than its limit. */
  clean(): Promise<void> {
    this.cleaning ??= this.callClean();
    return this.cleaning;
  }

  /** Makes an error that this script threw in its own realm one of rebox's; undefined when it is not this script's. */
  findError(thrown: unknown): Error | undefined {
    return this.runtime?.findError(thrown);
  }

  listExports(): string[] {
    return this.runtime?.listExports() ?? [];
  }

  readExport(name: string): unknown {
    return this.runtime?.readExport(name);
  }

  private createRuntime({ api, console, hotData, findRequired, onStrayError }: ScriptSurroundings): ScriptRuntime {
    const { name, file, bundle, owner, permissions, limits } = this;
    if (!permissions.isTrusted) {
      return new SandboxedScript(
        { name, file, bundle, owner, permissions, limits },
        { api: api.rebox, console, hotData, findRequired, onStrayError },
      );
    }
    const hot: Hot = { data: (hotData ?? {}) as Record<string, unknown> };
    return new ScriptModule(file, bundle, owner, createScriptApi(api, owner, hot), hot, console, findRequired);
  }

  /** Calls one of the script's functions and waits for its promise, both within limits. */
  private async call(call: () => unknown): Promise<unknown> {
    const { callMs, promiseMs } = this.limits;
    const result = this.runtime?.call(call, callMs);
    if (!(result instanceof Promise)) return result;
    if ((await waitAtMost(result, promiseMs)) === "settled") return result;
    throw new TimeLimitError(`its promise did not settle within ${promiseMs / 1000} s`);
  }

  private async callClean(): Promise<void> {
    const limitMs = this.limits.cleanMs;
    let outcome: "settled" | "late" | "aborted";
    try {
      const cleaned = this.runtime?.call(() => this.contract?.clean(), limitMs);
      outcome = await waitAtMost(Promise.resolve(cleaned), limitMs);
    } catch (error) {
      throw this.wrap(error, "clean()");
    }
    if (outcome === "late") {
      const problem = `clean() did not end within ${limitMs / 1000} s; going on without it`;
      throw new ScriptError(this.name, problem, { file: this.file });
    }
  }

  private wrap(thrown: unknown, what: string): ScriptError {
    if (thrown instanceof TimeLimitError || thrown instanceof MemoryLimitError) {
      return new ScriptError(this.name, `${what} ${thrown.message}`, { file: this.file });
    }
    return wrapThrown(this.findError(thrown) ?? thrown, what, this);
  }
}

/** A JSDoc comment, and the name of the exported function or constant that follows it directly. */
const DOCUMENTED =
  /\/\*\*((?:[^*]|\*(?!\/))*)\*\/\s*export\s+(?:default\s+)?(?:async\s+)?(?:function\s*\*?|const|let|var)\s+([\w$]+)/g;

/**
 * Finds the comments of a script's files on their exported functions.
 *
 * @param files absolute paths of source files; one that cannot be read says nothing
 * @returns the text of the JSDoc comment by the function's name
 */
export function findDocumentation(files: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const file of files) {
    for (const [, comment = "", name = ""] of read(file).matchAll(DOCUMENTED)) {
      if (!found.has(name)) found.set(name, toText(comment));
    }
  }
  return found;
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function toText(comment: string): string {
  const lines = comment.split(/\r?\n/).map((line) => line.replace(/^\s*\* ?/, "").trimEnd());
  return lines.join("\n").trim();
}
