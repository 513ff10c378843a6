import { splitQuotedWords } from "../../../config/quoted-words";
import { getInvestigations } from "../../../investigation/open-investigations";
import {
  type Operation,
  type OperationOutcome,
  decodeRequest,
  type OperationRequest,
} from "../../../investigation/operation";
import { type OperationsOutcome, runOperations, type OperationHost } from "../../../investigation/run-operations";
import { type Command, defineCommand, type CommandInput } from "../command";
import { CommandError } from "../../errors";
import { type CommandResult, type CommandValue, textResult } from "../command-result";
import type { CommandSession } from "../command-session";

const LONGEST_TIMEOUT_S = 86_400;

type Wish =
  | { readonly kind: "list" }
  | { readonly kind: "start"; readonly name: string }
  | { readonly kind: "end"; readonly name: string }
  | { readonly kind: "stop"; readonly name: string }
  | { readonly kind: "request" | "one"; readonly request: OperationRequest };

/** Reads "-…" before the module's name, then the name; the rest is the module's. */
function parseWish(input: CommandInput): Wish {
  let isFound = false;
  let isPrivate = false;
  let timeoutMs: number | undefined;
  for (let word = input.find(); word !== undefined; word = input.find()) {
    if (word === "--found") isFound = true;
    else if (word === "--private") isPrivate = true;
    else if (word === "--timeout") timeoutMs = parseTimeout(input.get("seconds"));
    else if (word === "--start" || word === "--end") {
      return { kind: word === "--start" ? "start" : "end", name: input.get("the name of a persistent module") };
    } else if (word === "--stop") {
      return { kind: "stop", name: input.get("the token of a request") };
    } else if (word === "--request") {
      return { kind: "request", request: decodeRequest(input.get("a request")) };
    } else if (word.startsWith("-")) {
      throw new CommandError(`investigate has no option ${word}; those of a module stand behind its name`);
    } else {
      const operation = parseOperation(word, input.rest());
      return {
        kind: "one",
        request: { operations: [operation], print: isFound ? "found" : "all", isPrivate, timeoutMs },
      };
    }
  }
  return { kind: "list" };
}

function parseTimeout(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= LONGEST_TIMEOUT_S)) {
    throw new CommandError(`--timeout is a number of seconds up to ${LONGEST_TIMEOUT_S}, not ${text}`);
  }
  return seconds * 1000;
}

function parseOperation(module: string, rest: string): Operation {
  if (!rest.startsWith("{")) return { module, words: splitQuotedWords(rest) };
  let value: object;
  try {
    value = JSON.parse(rest) as object;
  } catch (error) {
    throw new CommandError(`investigate ${module}: this is no JSON: ${(error as Error).message}`);
  }
  // The whole message, or its parameters alone.
  return "class" in value ? { module, line: rest } : { module, parameters: value };
}

/** The stops of the requests of a session, by their tokens. A stop may come a moment before its request is begun. */
const stops = new WeakMap<CommandSession, Map<string, AbortController>>();

function getStop(session: CommandSession, token: string): AbortController {
  const ofSession = stops.get(session) ?? new Map<string, AbortController>();
  stops.set(session, ofSession);
  const stop = ofSession.get(token) ?? new AbortController();
  ofSession.set(token, stop);
  return stop;
}

/** Carries out operations: Ctrl-C stops them, and they end with the session. */
async function carryOut(
  host: OperationHost,
  request: OperationRequest,
  session: CommandSession,
): Promise<OperationsOutcome> {
  const { operations, timeoutMs, expiresAt, isPrivate, print, token = "" } = request;
  const gone = new AbortController();
  const stop = getStop(session, token);
  const owned = session.owner.own(() => gone.abort());
  session.cancel = () => stop.abort();
  try {
    return await runOperations(host, operations, {
      ...{ signal: gone.signal, stop: stop.signal, print },
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(isPrivate === undefined ? {} : { isPrivate }),
    });
  } finally {
    session.cancel = undefined;
    stops.get(session)?.delete(token);
    owned.release();
  }
}

function showOne({ result, printed = [], usage, log, status }: OperationOutcome): CommandResult {
  if (usage !== undefined) return textResult(usage);
  const lines = [...log.map((line) => `[info] ${line}`), ...printed];
  const empty = status === "success" ? ["nothing found"] : [];
  const text = (lines.length === 0 ? empty : lines).join("\n");
  return { kind: "data", text, data: result as unknown as CommandValue };
}

async function listModules({ catalog, persistent }: OperationHost): Promise<CommandResult> {
  const { modules, refused } = await catalog.list();
  const living = new Map(persistent.list().map((info) => [info.name, info]));
  return {
    kind: "rows",
    columns: ["name", "kind", "state", "starts", "from"],
    rows: modules.map(({ name, module, origin }) => ({
      name,
      kind: module.newPersistentRun ? "persistent" : "standard",
      state: living.get(name)?.state ?? "",
      starts: living.get(name)?.starts ?? 0,
      failure: living.get(name)?.failure ?? "",
      from: origin,
    })),
    ...(refused.length === 0 ? {} : { note: refused.map(({ message }) => message).join("\n") }),
  };
}

async function investigate(wish: Wish, session: CommandSession): Promise<CommandResult> {
  const host = getInvestigations(() => session.api);
  if (wish.kind === "list") return listModules(host);
  if (wish.kind === "start") {
    await host.persistent.start(wish.name);
    return textResult(`${wish.name} is started`);
  }
  if (wish.kind === "end") {
    await host.persistent.end(wish.name);
    return textResult(`${wish.name} is ended`);
  }
  if (wish.kind === "stop") {
    getStop(session, wish.name).abort();
    return textResult("");
  }
  const outcome = await carryOut(host, wish.request, session);
  if (wish.kind === "one") return showOne(outcome.outcomes[0]!);
  return { kind: "data", text: outcome.status, data: outcome as unknown as CommandValue };
}

export const INVESTIGATE_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "investigate",
    usage: '[--found] [--private] [--timeout SECONDS] MODULE [FLAGS | {"...": ...}]',
    help:
      "Asks the guest a question, from outside: investigate example -gethostname\n" +
      "Behind the module's name are its flags (investigate example help), or its parameters as JSON. --found shows only what was found.\n" +
      "Without a module: lists them. --start NAME and --end NAME start and end a persistent module. Ctrl-C stops the module.",
    parse: parseWish,
    run: investigate,
  }),
];
