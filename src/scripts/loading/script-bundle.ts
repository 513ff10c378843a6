import { accessSync, constants, realpathSync } from "node:fs";
import { SourceMap } from "node:module";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Script } from "node:vm";
import type { BuildFailure, Message, Plugin } from "esbuild";
import { createDoorImports, findMissingName, isDoorInput } from "./door-imports";
import type { Doors } from "./doors";
import { createPackageImports } from "./package-imports";
import { createRequiredImports } from "./required-imports";
import { compile } from "./script-compiler";
import { ScriptError, type ScriptPlace } from "../errors";
import { readPlace } from "../script-stack";

/** A script and the files it imports, as one piece of JavaScript. */
export interface ScriptBundle {
  /** One expression, a function with the parameters of BUNDLE_PARAMETERS. */
  readonly code: string;
  /** Version 3, its sources absolute URLs. */
  readonly sourceMap: string;
  /** Absolute paths of everything that went in, the script itself included. */
  readonly files: readonly string[];
  /** The compiler's warnings, one text each, beginning with file:line:column. */
  readonly warnings: readonly string[];
}

/** The names of the arguments of a bundle's function. */
export const BUNDLE_PARAMETERS = [
  ...["module", "exports", "require", "console", "__scriptUrl", "setTimeout", "clearTimeout"],
  ...["setInterval", "clearInterval", "setImmediate", "clearImmediate"],
] as const;

/**
 * Compiles a script and the files it imports. Types are removed, not checked: `rebox check` checks them.
 *
 * @param file the script's absolute path
 * @param name the script's module name, for errors
 * @param doors what the script can import of rebox
 * @param isTrusted false: npm packages are compiled in, and nothing outside the script's folder is
 * @param required absolute paths of the scripts that it requires: an import of one of them stays an import
 * @returns the code and a source map that names the original files
 * @throws ScriptError for an unreadable file, a syntax error or an import of something that is not there for it, with its place
 */
export async function bundleScript(
  file: string,
  name: string,
  doors: Doors,
  isTrusted = true,
  required: readonly string[] = [],
): Promise<ScriptBundle> {
  checkReadable(file, name);
  // Sources in the map are relative to the output's folder, so the (never written) output lies beside the script.
  const folder = dirname(file);
  const explain = (message: Message) => findMissingName(message, doors, isTrusted);
  const result = await compile({
    entryPoints: [file],
    outfile: `${file}.bundle.js`,
    absWorkingDir: folder,
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "node20",
    sourcemap: "external",
    metafile: true,
    logLevel: "silent",
    plugins: [
      createDoorImports(doors, isTrusted),
      createRequiredImports(required),
      ...(isTrusted ? [createPackageImports()] : [createPackageImports(true), createImportLimits(file)]),
    ],
    define: { "import.meta.url": "__scriptUrl" },
    banner: { js: `(${BUNDLE_PARAMETERS.join(", ")}) => {` },
    footer: { js: "}" },
  }).catch((error: Partial<BuildFailure> & Error) => {
    throw asScriptError(error.errors ?? [], error, file, name, explain);
  });
  const undefinedNames = result.warnings.filter((warning) => explain(warning) !== undefined);
  if (undefinedNames.length > 0) throw asScriptError(undefinedNames, undefined, file, name, explain);
  const text = (suffix: string) => result.outputFiles.find((output) => output.path.endsWith(suffix))?.text ?? "";
  // A hashbang comes first of all, where it is none any more; its line stays.
  const code = text(".js").replace(/^#!.*/, "");
  const sourceMap = resolveSources(text(".js.map"), folder);
  checkSyntax(code, sourceMap, file, name);
  return {
    code,
    sourceMap,
    files: Object.keys(result.metafile.inputs)
      .filter((input) => !isDoorInput(input))
      .map((input) => resolve(folder, input)),
    warnings: result.warnings.map((warning) => new ScriptError(name, warning.text, placeOf(warning, folder)).message),
  };
}

/**
 * Has the engine read a bundle, so that code which the compiler lets through and the engine does not is refused in the same
 * way everywhere: a regular expression, above all.
 *
 * @throws ScriptError with the place in the script's own file
 */
function checkSyntax(code: string, sourceMap: string, file: string, name: string): void {
  const bundle = getBundleName(file, 0);
  try {
    new Script(`(${code}\n)`, { filename: bundle });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ScriptError(name, `SyntaxError: ${error.message}`, findSyntaxPlace(error, bundle, sourceMap) ?? { file });
  }
}

/** Finds the place of an error of the engine's, which shows the line of the bundle with a mark under it. */
function findSyntaxPlace(error: SyntaxError, bundle: string, sourceMap: string): ScriptPlace | undefined {
  const [head = "", , mark = ""] = (error.stack ?? "").split("\n");
  const line = Number(head.startsWith(`${bundle}:`) ? head.slice(bundle.length + 1) : NaN);
  const map = new SourceMap(JSON.parse(sourceMap) as ConstructorParameters<typeof SourceMap>[0]);
  const entry = map.findEntry(line - 1, Math.max(0, mark.indexOf("^")));
  if (!("originalSource" in entry)) return undefined;
  return readPlace(fileURLToPath(entry.originalSource), entry.originalLine + 1, entry.originalColumn + 1);
}

/** Checked here because esbuild's wording for it names neither the reason nor what to do. */
function checkReadable(file: string, name: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch {
    throw new ScriptError(name, "no permission to read it; check its owner and mode (ls -l)", { file });
  }
}

/** Makes one error of all that the compiler refuses. */
function asScriptError(
  messages: readonly Message[],
  error: Error | undefined,
  file: string,
  name: string,
  explain: (message: Message) => string | undefined,
): ScriptError {
  const [first, ...others] = messages;
  if (first === undefined) return new ScriptError(name, `the compiler failed: ${error?.message}`, { file });
  const textOf = (message: Message) => explain(message) ?? message.text;
  const more = others.map(
    (other) => `\n${new ScriptError(name, textOf(other), placeOf(other, dirname(file))).message}`,
  );
  return new ScriptError(name, textOf(first) + more.join(""), placeOf(first, dirname(file)) ?? { file });
}

function placeOf(message: Message, folder: string): ScriptPlace | undefined {
  const location = message.location;
  if (location === null) return undefined;
  return {
    file: resolve(folder, location.file),
    line: location.line,
    // esbuild counts columns in bytes from 0; we count characters from 1.
    column: Buffer.from(location.lineText).subarray(0, location.column).toString().length + 1,
    sourceLine: location.lineText,
  };
}

/** Makes a map's sources absolute URLs: Node would resolve a relative "a#b.ts" or "%20" wrongly. */
function resolveSources(json: string, folder: string): string {
  const map = JSON.parse(json) as { sources: string[] };
  map.sources = map.sources.map((source) => {
    const path = source.startsWith("file:") ? fileURLToPath(source) : resolve(folder, source);
    return pathToFileURL(path).href;
  });
  return JSON.stringify(map);
}

/** Returns the name under which a bundle is compiled; it shows only where a source map does not apply. */
export function getBundleName(file: string, version: number): string {
  return `${dirname(file)}/${basename(file)}.bundle-${version}.js`;
}

/** The compiler reads text, CSS and binary files too; a script in the sandbox would have their contents. */
const CODE = /\.([cm]?[jt]sx?|json)$/;

/**
 * Creates the esbuild plugin that keeps a script in the sandbox from importing, and so reading, any file of the disk:
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
