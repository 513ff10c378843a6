import { accessSync, constants } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { BuildFailure, Message } from "esbuild";
import { createPackageImports } from "./package-imports";
import { compile } from "./script-compiler";
import { ScriptError, type ScriptPlace } from "./script-error";

/** A script and the files it imports, as one piece of JavaScript. */
export interface ScriptBundle {
  /** One expression statement: module.exports = (module, exports, require, console, url) => {...}, with a source map. */
  readonly code: string;
  /** Absolute paths of everything that went in, the script itself included. */
  readonly files: readonly string[];
  /** What the compiler finds odd, one text each, beginning with file:line:column. */
  readonly warnings: readonly string[];
}

/**
 * Compiles a script and the files it imports. Types are removed, not checked: `rebox check` checks them.
 *
 * @param file the script's absolute path
 * @param name the script's module name, for errors
 * @returns the code with an inline source map that names the original files
 * @throws ScriptError for an unreadable file, a syntax error or an import of something missing, with its place
 */
export async function bundleScript(file: string, name: string): Promise<ScriptBundle> {
  checkReadable(file, name);
  // Sources in the map are relative to the output's folder, so the (never written) output lies beside the script.
  const folder = dirname(file);
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
    plugins: [createPackageImports()],
    define: { "import.meta.url": "__scriptUrl" },
    banner: { js: "module.exports = (module, exports, require, console, __scriptUrl) => {" },
    footer: { js: "};" },
  }).catch((error: Partial<BuildFailure> & Error) => {
    throw asScriptError(error, file, name);
  });
  const text = (suffix: string) => result.outputFiles.find((output) => output.path.endsWith(suffix))?.text ?? "";
  return {
    code: `${text(".js")}\n${inlineSourceMap(text(".js.map"), folder)}\n`,
    files: Object.keys(result.metafile.inputs).map((input) => resolve(folder, input)),
    warnings: result.warnings.map((warning) => new ScriptError(name, warning.text, placeOf(warning, folder)).message),
  };
}

/** Checked here because esbuild's wording for it names neither the reason nor what to do. */
function checkReadable(file: string, name: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch {
    throw new ScriptError(name, "no permission to read it; check its owner and mode (ls -l)", { file });
  }
}

function asScriptError(error: Partial<BuildFailure> & Error, file: string, name: string): ScriptError {
  const [first, ...others] = error.errors ?? [];
  if (first === undefined) return new ScriptError(name, `the compiler failed: ${error.message}`, { file });
  const more = others.map((other) => `\n${new ScriptError(name, other.text, placeOf(other, dirname(file))).message}`);
  return new ScriptError(name, first.text + more.join(""), placeOf(first, dirname(file)) ?? { file });
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

/** Returns the map as a comment, its sources as absolute URLs: Node would resolve a relative "a#b.ts" or "%20" wrongly. */
function inlineSourceMap(json: string, folder: string): string {
  const map = JSON.parse(json) as { sources: string[] };
  map.sources = map.sources.map((source) => {
    const path = source.startsWith("file:") ? fileURLToPath(source) : resolve(folder, source);
    return pathToFileURL(path).href;
  });
  const data = Buffer.from(JSON.stringify(map)).toString("base64");
  return `//# sourceMappingURL=data:application/json;base64,${data}`;
}

/** Returns the name under which a bundle is compiled; it shows only where a source map does not apply. */
export function getBundleName(file: string, version: number): string {
  return `${dirname(file)}/${basename(file)}.bundle-${version}.js`;
}
