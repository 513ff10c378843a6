import { execFile } from "node:child_process";
import { join } from "node:path";

/** Files that one call of the program is given. */
const AT_ONCE = 100;
const LARGEST_OUTPUT = 16 << 20;
const LIMIT_MS = 60_000;

/** The type of a file, as libmagic sees it in its content. */
export interface FileType {
  /** Such as "application/x-executable". */
  readonly mime: string;
  /** In words: as the program `file` says it. */
  readonly description: string;
}

/**
 * Asks the program `file` for the types of files. Their content is hostile, so it runs on its own, with a limit of time.
 *
 * @param folder of the files
 * @param names in it; none of them has a tab or a line's end
 * @param onProblem is told why types are missing
 */
export async function describeFiles(
  folder: string,
  names: readonly string[],
  onProblem: (text: string) => void,
): Promise<Record<string, FileType>> {
  const types: Record<string, FileType> = {};
  try {
    for (let at = 0; at < names.length; at += AT_ONCE) {
      const some = names.slice(at, at + AT_ONCE);
      const paths = some.map((name) => join(folder, name));
      const [mimes, descriptions] = await Promise.all([ask(["--mime-type"], paths), ask([], paths)]);
      for (const [index, name] of some.entries()) {
        types[name] = { mime: mimes[index] ?? "", description: descriptions[index] ?? "" };
      }
    }
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const reason = error instanceof Error ? error.message : String(error);
    onProblem(`types of files are not known: ${isMissing ? "there is no program file: apt install file" : reason}`);
  }
  return types;
}

/** One line for each file, in their order; bytes that are no text are shown by their numbers. */
function ask(options: readonly string[], paths: readonly string[]): Promise<string[]> {
  const args = [...options, "--brief", "--", ...paths];
  return new Promise((resolve, reject) => {
    const limits = { maxBuffer: LARGEST_OUTPUT, timeout: LIMIT_MS };
    execFile("file", args, limits, (error, output) => (error ? reject(error) : resolve(output.split("\n"))));
  });
}
