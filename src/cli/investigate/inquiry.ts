import type { Doors } from "../../scripts/loading/doors";
import { toPlainLine } from "../../config/terminal-text";
import { describeFailure } from "../../investigation/result";
import { askParameters } from "../../investigation/ask-parameters";
import { describeModules } from "../../investigation/describe-module";
import { ModuleError } from "../../investigation/errors";
import { MessageReader, readUntilStop } from "../../investigation/messages";
import type { Operation, OperationRequest } from "../../investigation/operation";
import { getLabFolder } from "../lab/lab-folder";
import { ExitStatus } from "../exit-status";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";
import { readActionFile } from "./action-file";
import { type InvestigationTarget, openLocal, openTarget, TARGETS } from "./investigation-target";
import { createInterface } from "node:readline";
import { getInvestigations, openInvestigations } from "../../investigation/open-investigations";
import type { ParameterPrompt } from "../../investigation/module";
import { getInvestigationStatus, showAction, showOutcome } from "./show-outcome";

/** The options of `rebox investigate`. */
export interface InquiryOptions {
  readonly module?: string;
  readonly target?: string;
  readonly action?: string;
  readonly pretty?: boolean;
  readonly persistent?: boolean;
  readonly found?: boolean;
  readonly notfound?: boolean;
  readonly json?: boolean;
  readonly ask?: boolean;
  readonly describe?: boolean;
  readonly private?: boolean;
  readonly timeout?: number;
  readonly lab?: string;
}

/** One call of `rebox investigate`. */
export class Inquiry {
  readonly #stop = new AbortController();

  constructor(
    private readonly options: InquiryOptions,
    private readonly words: readonly string[],
    private readonly environment: RunEnvironment,
    private readonly input: NodeJS.ReadableStream,
  ) {}

  async run(): Promise<number> {
    const { options, environment } = this;
    if (options.describe === true) return this.#describe();
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

  /** Prints what the modules of rebox and of the lab are, which needs no guest. */
  async #describe(): Promise<number> {
    const { options, environment, words } = this;
    if (options.module !== undefined || options.action !== undefined || words.length > 0)
      throw new UsageError("--describe is about all modules: give no module with it");
    const { catalog } = openInvestigations([getLabFolder(options), "."], () => environment.getApi());
    environment.stdout.write(`${JSON.stringify(await describeModules(catalog))}\n`);
    return ExitStatus.success;
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
    // The help about a module's flags needs no guest.
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
      const parameters = await askAtTerminal(module, () => environment.getApi(), this.input, environment.stderr);
      return { operations: [{ module, parameters }] };
    }
    return { operations: [{ module, line: await this.#readLine() }] };
  }

  #getModule(): string {
    const module = this.options.module ?? this.words[0];
    if (module === undefined) throw new UsageError("-P needs a module: -m MODULE");
    return module;
  }

  /** Reads the line with the parameters, then continues to read for a line that stops the module. */
  async #readLine(): Promise<string | null> {
    const reader = new MessageReader(this.input as AsyncIterable<string | Uint8Array>);
    const line = await reader.next().catch((error: unknown) => {
      throw new UsageError(`standard input: ${describeFailure(error)}`);
    });
    if (line !== undefined) void readUntilStop(reader).then((isStop) => isStop && this.#stop.abort());
    return line ?? null;
  }
}

/**
 * Lets a module ask a person for its parameters.
 *
 * @param input gives the answers
 * @throws UsageError when there is no such module, or it cannot ask; UsageShown when the person gives up
 */
async function askAtTerminal(
  module: string,
  getApi: () => Doors,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): Promise<unknown> {
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
    const { module: found } = await getInvestigations(getApi).catalog.get(module);
    return await askParameters(module, found, prompt);
  } catch (error) {
    throw error instanceof ModuleError ? new UsageError(error.message) : error;
  } finally {
    lines.close();
  }
}
