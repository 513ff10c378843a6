import { basename, dirname } from "node:path";
import { createPackageImports } from "./package-imports";
import { compile } from "./script-compiler";
import { REQUIRED_EXPORTS } from "./script-contract";

/**
 * Finds out, without running it, which of the required functions a script does not export.
 *
 * @param file the absolute path of a script that compiles
 * @returns the missing names; none for a CommonJS script, whose exports show only when it runs
 */
export async function findMissingExports(file: string): Promise<(typeof REQUIRED_EXPORTS)[number][]> {
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
    plugins: [createPackageImports()],
  });
  if (metafile.inputs[basename(file)]?.format === "cjs") return [];
  const exported = Object.values(metafile.outputs).flatMap((output) => output.exports);
  return REQUIRED_EXPORTS.filter((name) => !exported.includes(name));
}
