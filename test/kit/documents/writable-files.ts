import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../project";

/** Reads the files of docs/reference/files-you-can-write.md: their text, by the path that stands above each. */
export function readWritableFiles(): Readonly<Record<string, string>> {
  const page = readFileSync(join(PROJECT, "docs/reference/files-you-can-write.md"), "utf8");
  const blocks = page.matchAll(/^<!-- file: (\S+) -->\n```\w+\n([^]*?)^```$/gm);
  return Object.fromEntries([...blocks].map(([, name, text]) => [name!, text!]));
}
