import { basename, dirname } from "node:path";
import { createDoorImports } from "./loading/door-imports";
import type { Doors } from "./loading/doors";
import { createPackageImports } from "./loading/package-imports";
import { compile } from "./loading/script-compiler";
import { ScriptError } from "./errors";

/** Prints one message of a script, marked with the script's name. */
export type Printer = (text: unknown) => void;

/** The exports that a script must have. */
export interface ScriptContract {
  initialize_callbacks(moduleHandle: number, printer: Printer): unknown;
  clean(): unknown;
  /** Scripts, in module notation, that must be loaded before this one. */
  readonly requirements: readonly string[];
  /** The functions do_<name>, by name. */
  readonly commands: ReadonlyMap<string, (line: string) => unknown>;
}

const EXAMPLES: Readonly<Record<string, string>> = {
  initialize_callbacks:
    'export function initialize_callbacks(moduleHandle: number, printer: (text: string) => void) { printer("loaded"); }',
  clean: "export function clean() { /* callbacks.clean() */ }",
};

/** The functions that a script has to export, in the order in which they are called. */
export const REQUIRED_EXPORTS = ["initialize_callbacks", "clean"] as const;

/**
 * Returns a script's exports as what the contract asks for.
 *
 * @param exported the script's exports
 * @param name the script's module name, for errors
 * @param file the script's absolute path, for errors
 * @throws ScriptError that names the export that is missing or of the wrong type, with an example
 */
export function getContract(exported: Readonly<Record<string, unknown>>, name: string, file: string): ScriptContract {
  for (const wanted of REQUIRED_EXPORTS) {
    if (typeof exported[wanted] !== "function") {
      throw new ScriptError(name, describeMissing(wanted, exported[wanted]), { file });
    }
  }
  const requirements = exported.requirements ?? [];
  if (!Array.isArray(requirements) || !requirements.every((item) => typeof item === "string")) {
    const problem =
      'its "requirements" must be a list of names, such as: export const requirements = ["scripts.other"];';
    throw new ScriptError(name, problem, { file });
  }
  const { initialize_callbacks, clean } = exported as unknown as ScriptContract;
  return { initialize_callbacks, clean, requirements, commands: findCommands(exported) };
}

function findCommands(exported: Readonly<Record<string, unknown>>): Map<string, (line: string) => unknown> {
  const commands = new Map<string, (line: string) => unknown>();
  for (const [name, value] of Object.entries(exported)) {
    const command = /^do_(.+)$/.exec(name)?.[1];
    if (command !== undefined && typeof value === "function") commands.set(command, value as (line: string) => unknown);
  }
  return commands;
}

/**
 * Returns the sentence about an export that is missing or no function.
 *
 * @param wanted the export's name
 * @param found the script's export of that name
 */
export function describeMissing(wanted: (typeof REQUIRED_EXPORTS)[number], found?: unknown): string {
  const problem =
    found === undefined
      ? `it does not export the function "${wanted}"`
      : `its "${wanted}" is a ${typeof found}, not a function`;
  return `${problem}; write for instance:\n    ${EXAMPLES[wanted]}`;
}

/**
 * Finds out, without running it, which of the required functions a script does not export.
 *
 * @param file the absolute path of a script that compiles
 * @param doors what it can import of rebox
 * @returns the missing names; none for a CommonJS script, whose exports show only when it runs
 */
export async function findMissingExports(file: string, doors: Doors): Promise<(typeof REQUIRED_EXPORTS)[number][]> {
  const { metafile } = await compile({
    entryPoints: [file],
    outfile: `${file}.bundle.js`,
    absWorkingDir: dirname(file),
    bundle: true,
    write: false,
    platform: "node",
    // Only in this format does esbuild list the exports.
    format: "esm",
    metafile: true,
    logLevel: "silent",
    plugins: [createDoorImports(doors, true), createPackageImports()],
  });
  if (metafile.inputs[basename(file)]?.format === "cjs") return [];
  const exported = Object.values(metafile.outputs).flatMap((output) => output.exports);
  return REQUIRED_EXPORTS.filter((name) => !exported.includes(name));
}
