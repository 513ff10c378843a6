import type { ChildProcess } from "node:child_process";
import { statSync } from "node:fs";
import { join, parse } from "node:path";
import { z } from "zod";
import { getProjectFolder } from "../../config/folders";
import { INVESTIGATION_FOLDER } from "../../investigation/catalog";
import type { ModuleDescription } from "../../investigation/describe-module";
import { decodeResult, type InvestigationResult } from "../../investigation/result";
import { listModuleFiles } from "../../scripts/module-files";
import { getServerFolder } from "../accounts/account-database";
import { BusyError, ConflictError, NotThereError } from "../errors";
import { askProgram } from "./ask-program";

/** Questions at once: each is a process of its own. */
const MOST_AT_ONCE = 4;
/** The time that the process of a question has beside that of the module, in milliseconds. */
const SLACK_MS = 30_000;
const LONGEST_S = 300;
/** The exit status of `rebox investigate` when a module has found nothing. */
const FOUND_NOTHING = 3;

/** The name of a module of an investigation. */
export const MODULE_NAME = z.string().regex(/^[a-zA-Z][\w-]{0,63}$/).describe("The module of an investigation."); // prettier-ignore

/** A question to a machine. */
export const INQUIRY = z
  .object({
    module: MODULE_NAME,
    flags: z.array(z.string().max(4_000)).max(100).default([]).describe('Its parameters, as words of a command line: ["-name", "sshd"]; ["help"] has it explain them.'), // prettier-ignore
    parameters: z.record(z.string(), z.unknown()).optional().describe("Its parameters, in place of flags, as the module's schema has them."), // prettier-ignore
    timeout: z.number().int().min(1).max(LONGEST_S).default(60).describe("How long it may take, in seconds."),
  })
  .refine(({ flags, parameters }) => flags.length === 0 || parameters === undefined, "it has parameters or flags, not both"); // prettier-ignore

/** An answer of a machine. */
export interface InquiryAnswer {
  /** Undefined when it was asked about its parameters. */
  readonly result: InvestigationResult | undefined;
  /** For people: what it has found, or how its parameters are. */
  readonly text: string;
}

/** Asks machines that run questions of investigations, by `rebox investigate` in processes of their own: a module is a program. */
export class Inquiries {
  readonly #children = new Set<ChildProcess>();
  #described: { readonly mark: string; readonly modules: Promise<readonly ModuleDescription[]> } | undefined;

  constructor(private readonly labFolder: string) {}

  /** Lists the files of modules: rebox's own and the lab's. Each is a module of its name, unless it registers others. */
  listModules(): string[] {
    return [...new Set(this.#listFiles().map((file) => parse(file).name))].sort();
  }

  /** Describes a module: how its parameters are. @throws NotThereError; BusyError when too many processes are asked */
  async describe(module: string): Promise<ModuleDescription> {
    const mark = this.#listFiles().map((file) => `${file} ${statSync(file, { throwIfNoEntry: false })?.mtimeMs}`).join("\n"); // prettier-ignore
    if (this.#described?.mark !== mark) {
      const modules = this.#describeAll();
      const described = { mark, modules };
      this.#described = described;
      // What has failed is asked anew by the next who wants to know.
      modules.catch(() => (this.#described = this.#described === described ? undefined : this.#described));
    }
    const found = (await this.#described.modules).find(({ name }) => name === module);
    if (found === undefined) throw new NotThereError(`there is no module ${module}, or it cannot be described; rebox investigate --describe says why`); // prettier-ignore
    return found;
  }

  /**
   * Asks a machine.
   *
   * @param isForPeople the text of the answer is the module's own; otherwise it is that of the result
   * @throws ConflictError when the machine cannot be asked; BusyError when too many are
   */
  async ask(
    machine: string,
    { module, flags, parameters, timeout }: z.infer<typeof INQUIRY>,
    isForPeople: boolean,
  ): Promise<InquiryAnswer> {
    // `rebox investigate` takes the word for this host.
    if (machine === "local") throw new ConflictError("a machine named local cannot be asked; give it another name");
    if (this.#children.size >= MOST_AT_ONCE) throw new BusyError("machines are asked already; try again in 10 seconds");
    const form = isForPeople ? "--pretty" : "--json";
    const words = ["investigate", "-t", machine, "--lab", this.labFolder, form, "--timeout", String(timeout)];
    const given = parameters === undefined ? { words: [...words, module, ...flags] } : { words: [...words, "-m", module], input: `${JSON.stringify({ class: "parameters", parameters })}\n` }; // prettier-ignore
    const limitMs = timeout * 1000 + SLACK_MS;
    const { status, output, messages } = await askProgram({ ...given, cwd: this.#cwd, limitMs }, this.#children);
    const text = output.trim();
    const result = isForPeople ? undefined : findResult(text);
    // What a module says about its own failure is an answer; what is said instead of one is none.
    if (text === "" && status !== 0 && status !== FOUND_NOTHING) throw new ConflictError(messages.trim().slice(-2_000) || `the question has ended early (${status ?? "by a signal"})`); // prettier-ignore
    return { result, text };
  }

  async #describeAll(): Promise<readonly ModuleDescription[]> {
    const words = ["investigate", "--describe", "--lab", this.labFolder];
    const { status, output, messages } = await askProgram({ words, cwd: this.#cwd, limitMs: SLACK_MS }, this.#children);
    if (status !== 0) throw new ConflictError(`the modules cannot be described: ${messages.trim().slice(-2_000)}`);
    return (JSON.parse(output) as { modules: readonly ModuleDescription[] }).modules;
  }

  #listFiles(): string[] {
    const folders = [getProjectFolder(), this.labFolder].map((folder) => join(folder, INVESTIGATION_FOLDER));
    return folders.flatMap(listModuleFiles);
  }

  /** A folder without files that have the names of machines. */
  get #cwd(): string {
    return join(getServerFolder(this.labFolder), "tasks");
  }

  /** Ends all questions. */
  close(): void {
    for (const child of this.#children) child.kill("SIGTERM");
  }
}

function findResult(text: string): InvestigationResult | undefined {
  try {
    return decodeResult(text);
  } catch {
    return undefined;
  }
}
