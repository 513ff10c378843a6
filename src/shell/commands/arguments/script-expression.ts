import { inspect } from "node:util";
import { createContext, Script } from "node:vm";
import { transformSync } from "esbuild";
import { findGuest } from "../../../guest/guest";
import { listAtHand } from "../../../scripts/loading/doors";
import { CommandError } from "../../errors";
import type { CommandSession } from "../command-session";
import { evaluate } from "./expression";

/** The time that an expression may compute before it awaits, in milliseconds. */
const LIMIT_MS = 5000;
const FILE_NAME = "expression";
const contexts = new WeakMap<CommandSession, object>();

/**
 * Evaluates a TypeScript or JavaScript expression, or statements of which the last one has the value. All that scripts
 * import from "rebox" is at hand by its name, and `cpu`, `guest`, `pgd` and the session's variables as `$name`.
 *
 * @returns the value, awaited when it is a promise
 * @throws CommandError with the error of the code
 */
export async function evaluateScript(source: string, session: CommandSession): Promise<unknown> {
  const context = getContext(session);
  try {
    const result: unknown = compile(source).runInContext(context, { timeout: LIMIT_MS });
    return await result;
  } catch (error) {
    throw new CommandError(error instanceof Error ? `${error.name}: ${error.message}` : inspect(error));
  }
}

/**
 * Compiles a condition.
 *
 * @returns a function that evaluates it for a vCPU, which the condition knows as `cpu`
 * @throws CommandError when it is no expression
 */
export function compileCondition(source: string, session: CommandSession): (cpuIndex: number) => boolean {
  const context = getContext(session);
  let script: Script;
  try {
    script = compile(source);
  } catch (error) {
    throw new CommandError(`the condition cannot be read: ${error instanceof Error ? error.message : inspect(error)}`);
  }
  return (cpuIndex) => {
    const before = session.cpuIndex;
    session.cpuIndex = cpuIndex;
    try {
      return Boolean(script.runInContext(context));
    } finally {
      session.cpuIndex = before;
    }
  };
}

/** Compiles code. TypeScript's compiler is a process that takes time to start, so plain JavaScript goes without it. */
function compile(source: string): Script {
  try {
    return new Script(source, { filename: FILE_NAME });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const { code } = transformSync(source, { loader: "ts", target: "node20", logLevel: "silent" });
    return new Script(code, { filename: FILE_NAME });
  }
}

/** Gets the context of a session: each session has one, so that declarations stay for the next expression. */
function getContext(session: CommandSession): object {
  const context = contexts.get(session) ?? createFor(session);
  contexts.set(session, context);
  // The context asks an object with traps for its own globals too: variables are copied instead.
  for (const name of Object.keys(context).filter((name) => name.startsWith("$"))) Reflect.deleteProperty(context, name);
  for (const [name, value] of session.variables) Reflect.set(context, `$${name}`, evaluate(value, session));
  return context;
}

function createFor(session: CommandSession): object {
  const names = { ...listAtHand(session.api), console, Buffer, setTimeout, clearTimeout };
  const live = {
    cpu: () => session.cpu,
    guest: () => findGuest(),
    pgd: () => session.pgd,
  };
  for (const [name, get] of Object.entries(live)) Object.defineProperty(names, name, { get, enumerable: true });
  return createContext(names);
}
