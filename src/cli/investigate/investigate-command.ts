import { Command, InvalidArgumentError } from "commander";
import { createLabOption } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import type { InquiryOptions } from "./inquiry";

const AFTER_HELP = `
Parameters come as {"class":"parameters","parameters":{...}} on standard input, as flags behind the module's name, or are asked for at
a terminal. A later line {"class":"stop"}, and Ctrl-C, end the module early.

Exit status: 0 something was found; 3 nothing was; 1 a module failed, or the arguments do not work.

Examples: rebox investigate -t run/control -m example <<< '{"class":"parameters","parameters":{"gethostname":true}}'
          rebox investigate -t run/control example -gethostname
          rebox investigate example help`;

/**
 * Creates the command `rebox investigate`.
 *
 * @param input gives the parameters
 * @param onStatus receives the exit status
 */
export function createInvestigateCommand(
  environment: RunEnvironment,
  input: NodeJS.ReadableStream,
  onStatus: (status: number) => void,
): Command {
  return new Command("investigate")
    .summary("ask a guest a question, from outside")
    .description("Runs a module of an investigation on a guest: docs/guides/investigations.md.")
    .usage("[options] [MODULE [FLAGS...]]")
    .argument("[words...]")
    .passThroughOptions()
    .option("-m, --module <name>", "the module; its parameters come on standard input")
    .option("-t, --target <where>", "a control socket, a machine of the lab, a memory image, or local")
    .option("-i, --action <file>", "carry out the operations of an action.json, at the same time")
    .option("-p, --pretty", "print results for people, in place of JSON: the default for a module with flags")
    .option("--json", "print results as JSON")
    .option("-P, --persistent", "start the module in the target's engine, where it stays: a persistent one")
    .option("--found", "print only what was found")
    .option("--notfound", "print only results of those that have found nothing")
    .option("--ask", "have the module ask for its parameters: the default at a terminal")
    .option("--describe", "print all modules with the types of their parameters, as JSON")
    .option("--private", "have modules mask what they call private")
    .option("--timeout <seconds>", "end a module after that many seconds (300)", readSeconds)
    .addOption(createLabOption())
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", AFTER_HELP)
    .configureHelp({ visibleArguments: () => [] })
    .action(async (words: string[], options: InquiryOptions) => {
      const { Inquiry } = await import("./inquiry.js");
      const { UsageShown } = await import("../../investigation/errors.js");
      try {
        onStatus(await new Inquiry(options, words, environment, input).run());
      } catch (error) {
        if (!(error instanceof UsageShown)) throw error;
        environment.stdout.write(`${error.message}\n`);
      }
    });
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 2_000_000)) throw new InvalidArgumentError("It must be a number of seconds.");
  return seconds * 1000;
}
