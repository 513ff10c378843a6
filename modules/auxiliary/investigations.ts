import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type InvestigationResult } from "rebox/investigation";
import { Auxiliary, config, z } from "rebox/lab";

const SETTINGS = {
  modules: z
    .array(z.string())
    .default([])
    .describe("Modules that are asked with the parameters that they have by themselves: example, netstat, process."),
  action: config
    .filePath({ readable: true })
    .optional()
    .describe("An action.json with more questions: docs/guides/investigations.md."),
  when: z
    .enum(["start", "end", "both"])
    .default("end")
    .describe("start: when the machine runs, before the target does; end: before the machine is stopped."),
  most_seconds: z.int().min(1).max(86_400).default(120).describe("How long the answers may take."),
};

interface Question {
  readonly module: string;
  readonly parameters?: unknown;
}

/** Asks the guest questions from outside, and keeps the answers: investigations.json, and an event for each. */
export default class Investigations extends Auxiliary<typeof SETTINGS> {
  static override readonly description =
    "Asks the guest questions from outside, into investigations.json; rebox's machines only.";
  static override readonly settings = SETTINGS;

  /** Before others let go of what the guest still does. */
  override stopPriority = 5;

  private readonly answers: object[] = [];

  override get stopLimitMs(): number {
    return (this.options.most_seconds + 10) * 1000;
  }

  override async machineStarted(): Promise<void> {
    this.getGuest();
    if (this.options.when !== "end") await this.ask("start");
  }

  override async stop(): Promise<void> {
    if (this.machine.guest === undefined || this.options.when === "start") return;
    await this.ask("end");
  }

  private async ask(phase: string): Promise<void> {
    // One after the other within a question, all questions at once: each has a session of its own.
    await Promise.all(this.listQuestions().map((question) => this.askOne(phase, question)));
    writeFileSync(join(this.run.folder, "investigations.json"), `${JSON.stringify(this.answers, undefined, 1)}\n`);
  }

  private async askOne(phase: string, { module, parameters }: Question): Promise<void> {
    const limit = this.options.most_seconds;
    const how = parameters === undefined ? "" : ` ${JSON.stringify(parameters)}`;
    let facts: object;
    try {
      const signal = AbortSignal.timeout((limit + 5) * 1000);
      const answer = await this.getGuest().command(`investigate --timeout ${limit} ${module}${how}`, signal);
      const { success, foundanything, errors, ...rest } = answer as InvestigationResult;
      facts = { success, foundanything, errors };
      this.answers.push({ phase, module, ...facts, ...rest });
    } catch (error) {
      facts = { success: false, foundanything: false, errors: [(error as Error).message] };
      this.answers.push({ phase, module, ...facts });
    }
    this.run.addEvent("investigation", { phase, module, ...facts });
  }

  private listQuestions(): Question[] {
    const own = this.options.modules.map((module) => ({ module }));
    const file = this.options.action;
    if (file === undefined || file === "") return own;
    const { operations } = JSON.parse(readFileSync(file, "utf8")) as { operations?: readonly Question[] };
    if (!Array.isArray(operations)) throw new Error(`${file}: it has no list of operations`);
    return [...own, ...(operations as readonly Question[])];
  }
}
