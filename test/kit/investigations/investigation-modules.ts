import { join } from "node:path";
import type { InvestigationFactory, InvestigationModule, InvestigationRun } from "../../../src/investigation/module";
import { decodeResult } from "../../../src/investigation/result";
import type { Answer, Question } from "./investigation-questions";

/** Asks modules in this process, the questions of a group at once; nothing of the command line is around them. */
export async function askModules(
  folder: string,
  groups: readonly Readonly<Record<string, Question>>[],
): Promise<Record<string, Answer>> {
  const modules = new Map<string, InvestigationModule>();
  for (const name of new Set(groups.flatMap((group) => Object.values(group).map(({ module }) => module)))) {
    modules.set(name, await loadModule(folder, name));
  }
  const answers: Record<string, Answer> = {};
  for (const group of groups) {
    await Promise.all(
      Object.entries(group).map(async ([key, question]) => {
        answers[key] = await ask(modules.get(question.module)!, question);
      }),
    );
  }
  return answers;
}

/** Loads a module's file as rebox does. */
export async function loadModule(folder: string, name: string): Promise<InvestigationModule> {
  // Here and not at the top: whoever only imports types must not load the engine.
  const { loadTrustedFile } = await import("../../../src/scripts/loading/trusted-file.js");
  const { doors } = await import("../../../src/doors/doors.js");
  let found: InvestigationModule | undefined;
  const registerInvestigation = (_: string, module: InvestigationModule | InvestigationFactory): void => {
    found = typeof module === "function" ? { newRun: module } : module;
  };
  const door = { ...doors["rebox/investigation"], registerInvestigation };
  await loadTrustedFile(join(folder, `${name}.ts`), name, { ...doors, "rebox/investigation": door });
  if (!found) throw new Error(`${name} registers nothing`);
  return found;
}

async function ask(module: InvestigationModule, { parameters, words, isPrivate }: Question): Promise<Answer> {
  const { GuestContext } = await import("../../../src/investigation/context.js");
  const listener = { log: () => undefined, alert: () => undefined };
  const context = new GuestContext(new AbortController().signal, listener, 60_000);
  const run = module.newRun!(context) as InvestigationRun;
  const given = words ? module.newRun!(context).paramsParser!(words) : parameters;
  const startMs = performance.now();
  const text = await run.run(input(JSON.stringify({ class: "parameters", parameters: given })));
  const tookMs = performance.now() - startMs;
  const at = Date.now();
  const plain = decodeResult(text);
  const result = isPrivate === true && run.enhancePrivacy ? run.enhancePrivacy(plain) : plain;
  const [lines, found] = [run.printResults?.(result, false) ?? [], run.printResults?.(result, true) ?? []];
  return { ...(result as unknown as Answer), text, lines, found, tookMs, at };
}

async function* input(line: string): AsyncIterable<string> {
  yield `${line}\n`;
}
