import { join } from "node:path";
import { compile } from "../loading/script-compiler";

/**
 * Returns rebox's own code for the inside of a sandbox: an expression statement that sets `realm`. The bundle of rebox has the
 * text in it, in place of this module, and compiles nothing.
 */
export async function getRealmCode(): Promise<string> {
  const result = await compile({
    entryPoints: [join(__dirname, "realm/main.js")],
    bundle: true,
    write: false,
    platform: "neutral",
    mainFields: ["main"],
    format: "iife",
    globalName: "realm",
    target: "node20",
    logLevel: "silent",
  });
  return result.outputFiles[0]?.text ?? "";
}
