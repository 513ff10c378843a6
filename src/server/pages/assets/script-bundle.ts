/* eslint-disable @typescript-eslint/no-require-imports -- esbuild is loaded by those alone who bundle */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type * as esbuild from "esbuild";
import { getProjectFolder } from "../../../config/folders";

/** The compiled files of the pages' script, which import packages. */
const COMPILED = join(getProjectFolder(), "build/js/src/server/browser");

/** The name of the bundle, in the folder of bundles. */
export const SCRIPT_BUNDLE = "page.js";

/** Returns the script of the pages: as set-up has bundled it, or bundled now when it was compiled again since. */
export function readScript(): string {
  const file = join(getProjectFolder(), "build/bundle", SCRIPT_BUNDLE);
  return isCurrent(file) ? readFileSync(file, "utf8") : bundleScript();
}

/** Bundles the script of the pages with the packages that it imports: one file, which loads nothing else. */
export function bundleScript(): string {
  const { buildSync } = require("esbuild") as typeof esbuild;
  const { outputFiles } = buildSync({
    entryPoints: [join(COMPILED, "page.js")],
    ...{ bundle: true, write: false, format: "esm", platform: "browser", target: "es2022", minify: true },
    // Their licences stay with them.
    legalComments: "eof",
    loader: { ".css": "text" },
    absWorkingDir: getProjectFolder(),
    logLevel: "silent",
  });
  return outputFiles[0]!.text;
}

function isCurrent(bundle: string): boolean {
  if (!existsSync(bundle)) return false;
  const { mtimeMs } = statSync(bundle);
  return readdirSync(COMPILED).every((name) => statSync(join(COMPILED, name)).mtimeMs <= mtimeMs);
}
