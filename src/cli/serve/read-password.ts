import { createInterface } from "node:readline";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";

/**
 * Reads a password: at a terminal twice and without showing it, else the first line of standard input.
 *
 * @throws UsageError when there is none, or the second differs
 */
export async function readPassword(
  { stderr }: RunEnvironment,
  input: NodeJS.ReadStream = process.stdin,
): Promise<string> {
  // prettier-ignore
  if (input.isTTY !== true) {
    for await (const line of createInterface({ input })) return line;
    throw new UsageError("there is no password on standard input; give it as its first line");
  }
  const [one, other] = [await ask(input, stderr, "password: "), await ask(input, stderr, "once more: ")];
  if (one !== other) throw new UsageError("the two passwords differ; try again");
  return one;
}

/** Asks for a line that is not shown. */
async function ask(input: NodeJS.ReadStream, output: NodeJS.WritableStream, prompt: string): Promise<string> {
  output.write(prompt);
  input.setRawMode(true);
  input.resume();
  input.setEncoding("utf8");
  let line = "";
  try {
    return await new Promise<string>((resolve, reject) => {
      input.on("data", function take(text: string) {
        for (const char of text) {
          if (char === "\x03") return reject(new UsageError("no password was given"));
          if (char === "\r" || char === "\n" || char === "\x04") {
            input.off("data", take);
            return resolve(line);
          }
          line = char === "\x7f" || char === "\b" ? [...line].slice(0, -1).join("") : line + char;
        }
      });
    });
  } finally {
    input.setRawMode(false);
    input.pause();
    input.removeAllListeners("data");
    output.write("\n");
  }
}
