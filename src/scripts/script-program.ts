import { inspect } from "node:util";
import { bundleScript, type ScriptBundle } from "./script-bundle";
import { getContract, type ScriptContract } from "./script-contract";
import { ScriptError } from "./script-error";
import { ScriptModule } from "./script-module";
import { describeThrown, findScriptPlace, getScriptStack } from "./script-stack";
import { waitAtMost } from "./time-limit";

/** The life of one script's code: compile, evaluate, initialize, clean. Whatever it throws becomes a ScriptError. */
export class ScriptProgram {
  private module: ScriptModule | undefined;
  private contract: ScriptContract | undefined;

  private constructor(
    readonly name: string,
    readonly file: string,
    private readonly bundle: ScriptBundle,
    private readonly cleanLimitMs: number,
  ) {}

  /**
   * Compiles a script; none of its code runs.
   *
   * @param name the script's module name
   * @param file the script's absolute path
   * @param cleanLimitMs how long its clean() may take, in milliseconds
   * @throws ScriptError with the place of a syntax error or a missing import
   */
  static async compile(name: string, file: string, cleanLimitMs: number): Promise<ScriptProgram> {
    return new ScriptProgram(name, file, await bundleScript(file, name), cleanLimitMs);
  }

  /** Absolute paths of everything compiled into the script. */
  get files(): readonly string[] {
    return this.bundle.files;
  }

  /** What the compiler finds odd, one text each, beginning with file:line:column. */
  get warnings(): readonly string[] {
    return this.bundle.warnings;
  }

  /**
   * Runs the script's top level and checks its exports.
   *
   * @param api what `import "rebox"` gives
   * @param console the script's console
   * @returns the names of the scripts it requires
   * @throws ScriptError when the top level throws or an export is missing
   */
  evaluate(api: object, console: Console): readonly string[] {
    let exported: Readonly<Record<string, unknown>>;
    try {
      this.module = new ScriptModule(this.file, this.bundle);
      exported = this.module.run(api, console);
    } catch (error) {
      throw this.wrap(error, "its top level threw");
    }
    this.contract = getContract(exported, this.name, this.file);
    return this.contract.requirements;
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
      await this.contract?.initialize_callbacks(handle, printer);
    } catch (error) {
      // The error that counts is this one: what clean() makes of a script that is half initialised is secondary.
      await this.clean().catch(() => undefined);
      throw this.wrap(error, "initialize_callbacks() threw");
    }
  }

  /** Calls clean() and waits for what it returns. Throws ScriptError when it throws, or takes longer than its limit. */
  async clean(): Promise<void> {
    let outcome: "settled" | "late";
    try {
      outcome = await waitAtMost(Promise.resolve(this.contract?.clean()), this.cleanLimitMs);
    } catch (error) {
      throw this.wrap(error, "clean() threw");
    }
    if (outcome === "late") {
      const problem = `clean() did not end within ${this.cleanLimitMs / 1000} s; going on without it`;
      throw new ScriptError(this.name, problem, { file: this.file });
    }
  }

  private wrap(thrown: unknown, what: string): ScriptError {
    const place = findScriptPlace(thrown, this.files) ?? { file: this.file };
    return new ScriptError(this.name, `${what} ${describeThrown(thrown)}`, place, {
      cause: thrown,
      stack: getScriptStack(thrown, this.files),
    });
  }
}
