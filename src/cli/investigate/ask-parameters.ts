import { createInterface } from "node:readline";
import { toPlainLine } from "../../config/terminal-text";
import { GuestContext } from "../../investigation/context";
import { getInvestigations } from "../../investigation/open-investigations";
import type { ParameterPrompt } from "../../investigation/module";
import { UsageError } from "../usage-error";

/**
 * Has a module ask a person for its parameters.
 *
 * @param input where the answers come from
 * @throws UsageError when the module cannot ask; UsageShown when the person gives up
 */
export async function askParameters(
  module: string,
  getApi: () => object,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): Promise<unknown> {
  const { module: found } = await getInvestigations(getApi).catalog.get(module);
  const listener = { log: () => undefined, alert: () => undefined };
  const run = found.newRun?.(new GuestContext(new AbortController().signal, listener, 1000));
  if (!run?.paramsCreator) {
    throw new UsageError(
      `${module} asks nobody for parameters: give them on standard input, as {"class":"parameters","parameters":{…}}`,
    );
  }
  const lines = createInterface({ input });
  const answers = lines[Symbol.asyncIterator]();
  const prompt: ParameterPrompt = {
    ask: async (question) => {
      output.write(question);
      const { value, done } = await answers.next();
      return done === true ? undefined : (value as string).trim();
    },
    tell: (text) => void output.write(`${text.split("\n").map(toPlainLine).join("\n")}\n`),
  };
  try {
    return await run.paramsCreator(prompt);
  } finally {
    lines.close();
  }
}
