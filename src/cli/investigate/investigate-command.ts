import { Command, InvalidArgumentError } from "commander";
import { toPlainLine } from "../../config/terminal-text";
import { describeFailure } from "../../investigation/result";
import { parseMessage, MessageReader } from "../../investigation/messages";
import type { Operation, OperationRequest } from "../../investigation/operation";
import { UsageShown } from "../../investigation/errors";
import { getLabFolder } from "../lab/lab-folder";
import { createLabOption } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../usage-error";
import { readActionFile } from "./action-file";
import { askParameters } from "./ask-parameters";
import { type InvestigationTarget, openLocal, openTarget, TARGETS } from "./investigation-target";
import { getInvestigationStatus, showAction, showOutcome } from "./show-outcome";

interface Options {
  readonly module?: string;
  readonly target?: string;
  readonly action?: string;
  readonly pretty?: boolean;
  readonly persistent?: boolean;
  readonly found?: boolean;
  readonly notfound?: boolean;
  readonly json?: boolean;
  readonly ask?: boolean;
  readonly private?: boolean;
  readonly timeout?: number;
  readonly lab?: string;
}

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
 * @param input where parameters come from
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
    .option("--private", "have modules mask what they call private")
    .option("--timeout <seconds>", "end a module after that many seconds (300)", readSeconds)
    .addOption(createLabOption())
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", AFTER_HELP)
    .configureHelp({ visibleArguments: () => [] })
    .action(async (words: string[], options: Options) => {
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

/** One call of `rebox investigate`. */
class Inquiry {
  readonly #stop = new AbortController();

  constructor(
    private readonly options: Options,
    private readonly words: readonly string[],
    private readonly environment: RunEnvironment,
    private readonly input: NodeJS.ReadableStream,
  ) {}

  async run(): Promise<number> {
    const { options, environment } = this;
    this.#check();
    const target = await this.#openTarget();
    const onSignal = () => this.#stop.abort();
    environment.processEvents.on("SIGINT", onSignal);
    try {
      if (options.persistent === true) {
        environment.stdout.write(`${await target.start(this.#getModule())}\n`);
        return 0;
      }
      return await this.#ask(target);
    } finally {
      environment.processEvents.off("SIGINT", onSignal);
      target.close();
    }
  }

  #check(): void {
    const { module, action, found, notfound } = this.options;
    const ways = [module, action, this.words[0]].filter((way) => way !== undefined);
    if (ways.length === 0) {
      throw new UsageError(
        `say what is asked: -m MODULE, MODULE with its flags, or -i action.json; and of whom: ${TARGETS}`,
      );
    }
    if (ways.length > 1) throw new UsageError("-m, -i and a module with flags are three ways: use one of them");
    if (found === true && notfound === true) throw new UsageError("--found and --notfound leave nothing over");
  }

  #openTarget(): Promise<InvestigationTarget> | InvestigationTarget {
    const { environment, options, words } = this;
    const folder = getLabFolder(options);
    // What a module's flags are needs no guest.
    if (options.target === undefined && ["help", "-h", "--help", "-help"].includes(words[1] ?? "")) {
      return openLocal(folder, environment);
    }
    if (options.target === undefined) throw new UsageError(`whom to ask is missing: ${TARGETS}`);
    return openTarget(options.target, folder, environment);
  }

  async #ask(target: InvestigationTarget): Promise<number> {
    const { options, environment, words } = this;
    const { stdout, stderr } = environment;
    const isPretty = options.pretty ?? (words.length > 0 && options.json !== true);
    const only = options.found === true ? "found" : options.notfound === true ? "notfound" : undefined;
    const { operations, expiresAt } = await this.#getOperations();
    const request: OperationRequest = {
      operations,
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
      ...(options.private === true ? { isPrivate: true } : {}),
      ...(isPretty ? { print: only === "found" ? ("found" as const) : ("all" as const) } : {}),
    };
    const outcome = await target.run(request, this.#stop.signal);
    for (const { log } of outcome.outcomes) for (const line of log) stderr.write(`[info] ${toPlainLine(line)}\n`);
    if (options.action !== undefined && !isPretty) stdout.write(showAction(outcome));
    else for (const one of outcome.outcomes) stdout.write(showOutcome(one, { isPretty, only }));
    return getInvestigationStatus(outcome);
  }

  async #getOperations(): Promise<{ operations: readonly Operation[]; expiresAt?: number | undefined }> {
    const { options, words, environment } = this;
    if (options.action !== undefined) return readActionFile(options.action);
    const module = this.#getModule();
    if (words.length > 0) {
      const flags = words.slice(1);
      // -h of a module is its own.
      return { operations: [{ module, words: ["-h", "--help", "-help"].includes(flags[0] ?? "") ? ["help"] : flags }] };
    }
    if (options.ask ?? (this.input as Partial<NodeJS.ReadStream>).isTTY === true) {
      const parameters = await askParameters(module, () => environment.getApi(), this.input, environment.stderr);
      return { operations: [{ module, parameters }] };
    }
    return { operations: [{ module, line: await this.#readLine() }] };
  }

  #getModule(): string {
    const module = this.options.module ?? this.words[0];
    if (module === undefined) throw new UsageError("-P needs a module: -m MODULE");
    return module;
  }

  /** Reads the line with the parameters, then goes on reading for one that stops the module. */
  async #readLine(): Promise<string | null> {
    const reader = new MessageReader(this.input as AsyncIterable<string | Uint8Array>);
    const line = await reader.next().catch((error: unknown) => {
      throw new UsageError(`standard input: ${describeFailure(error)}`);
    });
    if (line !== undefined) void this.#watchForStop(reader);
    return line ?? null;
  }

  async #watchForStop(reader: MessageReader): Promise<void> {
    try {
      for (let line = await reader.next(); line !== undefined; line = await reader.next()) {
        if (isStop(line)) this.#stop.abort();
      }
    } catch {
      // Nobody can stop it this way any more.
    }
  }
}

function isStop(line: string): boolean {
  try {
    return parseMessage(line).class === "stop";
  } catch {
    return false;
  }
}
