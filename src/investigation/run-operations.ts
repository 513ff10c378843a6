import { ModuleOwner } from "../machine/ownership/module-owner";
import type { InvestigationCatalog } from "./catalog";
import { GuestContext } from "./context";
import { STOPPED } from "./investigation";
import { MessageQueue } from "./messages";
import type { InvestigationContext, InvestigationModule, InvestigationRun } from "./module";
import {
  DEFAULT_TIMEOUT_MS,
  type Operation,
  type OperationOptions,
  type OperationOutcome,
  type OperationStatus,
} from "./operation";
import type { PersistentHost } from "./persistent/host";
import { InstanceContext } from "./persistent/instance";
import { describeFailure, createFailure, decodeResult, type InvestigationResult, printResult } from "./result";
import { ModuleError, RunEndedError, UsageShown } from "./errors";

/** The longest log of a run, in lines; later lines are dropped. */
const LONGEST_LOG = 1000;
/** The time that a module has to answer a stop message, in milliseconds. */
const STOP_GRACE_MS = 5000;

/** The modules of a process, which carry out operations. */
export interface OperationHost {
  readonly catalog: InvestigationCatalog;
  readonly persistent: PersistentHost;
  /** The owner of the guest has every answer masked. */
  readonly isPrivate?: boolean;
}

/** Carries out one operation. It does not reject: every failure is a result. */
export async function runOperation(
  { catalog, persistent, isPrivate = false }: OperationHost,
  operation: Operation,
  options: OperationOptions = {},
): Promise<OperationOutcome> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, expiresAt = Infinity } = options;
  const { module } = operation;
  const log: string[] = [];
  const say = (text: string): void => void (log.length < LONGEST_LOG && log.push(text));
  const limitMs = Math.min(timeoutMs, expiresAt - Date.now());
  const end = new AbortController();
  const outcome = (status: OperationStatus, result: InvestigationResult) => ({ module, status, result, log });
  if (limitMs <= 0) return outcome("expired", createFailure(`${module}: the question has expired`));
  const listener = { log: say, alert: (level: string, text: string) => say(`[${level}] ${text}`) };
  const context = new GuestContext(end.signal, listener, limitMs, options.folder);
  try {
    const isLiving = persistent.has(module);
    const found = isLiving ? undefined : await catalog.get(module);
    if (operation.words?.[0] === "help" && found?.module.newRun === undefined)
      showPersistentHelp(found?.module, module);
    const run = isLiving ? persistent.createRun(module, context) : createRun(found?.module, module, context);
    const limits = { ...options, limitMs, end };
    const { status, result } = await limitRun(run, getFirstLine(run, operation), limits);
    const shown = (isPrivate || options.isPrivate === true) && run.enhancePrivacy ? run.enhancePrivacy(result) : result;
    const printed = options.print && printResult(run, shown, module, options.print === "found");
    return { ...outcome(status, shown), ...(printed ? { printed } : {}) };
  } catch (error) {
    if (error instanceof UsageShown)
      return { ...outcome("success", createFailure("help printed")), usage: error.message };
    const message = describeFailure(error);
    const printed = options.print === "all" ? { printed: [`error: ${message}`] } : {};
    return { ...outcome("failed", createFailure(message)), ...printed };
  } finally {
    // Work that still goes on for this run has to end.
    end.abort(new RunEndedError("the run is over"));
    // The caller finds the guest in the state in which it was.
    await context.untilResumed();
  }
}

function createRun(
  module: InvestigationModule | undefined,
  name: string,
  context: InvestigationContext,
): InvestigationRun {
  if (module?.newRun) return module.newRun(context);
  throw new ModuleError(
    `module ${name} is not registered: it is a persistent one, which must be started before it is asked`,
  );
}

/** Shows the flags of a persistent module, which need not run for that. @throws UsageShown */
function showPersistentHelp(module: InvestigationModule | undefined, name: string): void {
  if (!module?.newPersistentRun) return;
  const owner = new ModuleOwner(`help of ${name}`);
  const listener = { log: () => undefined, alert: () => undefined };
  try {
    const context = new InstanceContext(AbortSignal.abort(), listener, 1, owner);
    module.newPersistentRun(context).paramsParser?.(["help"]);
    throw new UsageShown(`${name}: a persistent module; queries to it are JSON, and have no flags`);
  } finally {
    owner.close();
  }
}

/** Gets the message with the parameters; null when there is none. */
function getFirstLine(run: InvestigationRun, { module, line, words, parameters }: Operation): string | null {
  if (line !== undefined) return line;
  if (words !== undefined && !run.paramsParser) {
    if (words.length === 0) return JSON.stringify({ class: "parameters", parameters: {} });
    throw new ModuleError(
      `module ${module} takes no flags; give it parameters: {"class":"parameters","parameters":{…}}`,
    );
  }
  const parsed = words === undefined ? parameters : run.paramsParser?.(words);
  return JSON.stringify({ class: "parameters", parameters: parsed ?? {} });
}

interface RunLimits extends OperationOptions {
  readonly limitMs: number;
  /** Ends the run's context. */
  readonly end: AbortController;
}

/** Runs a module until it answers, its time is over, or the caller has gone. */
async function limitRun(
  run: InvestigationRun,
  first: string | null,
  { signal, stop, limitMs, end }: RunLimits,
): Promise<{ status: OperationStatus; result: InvestigationResult }> {
  const input = new MessageQueue();
  if (first !== null) input.push(first);
  else input.end();
  const timers: NodeJS.Timeout[] = [];
  const cleanUps: (() => void)[] = [];
  const endings = new Promise<{ status: OperationStatus; result: InvestigationResult }>((resolve) => {
    const endWith = (status: OperationStatus, message: string) => {
      resolve({ status, result: createFailure(message) });
      end.abort(new RunEndedError(message));
    };
    timers.push(setTimeout(() => endWith("timeout", `the module did not end within ${limitMs / 1000} s`), limitMs));
    cleanUps.push(
      onAbort(signal, () => endWith("cancelled", "whoever asked has gone")),
      onAbort(stop, () => {
        input.push(JSON.stringify({ class: "stop" }));
        timers.push(setTimeout(() => endWith("cancelled", STOPPED), STOP_GRACE_MS));
      }),
    );
  });
  const answered = Promise.resolve()
    .then(() => run.run(input))
    .then((text) => decodeResult(text))
    .then((result) => ({ status: statusOf(result), result }))
    .catch((error: unknown) => ({ status: "failed" as const, result: createFailure(describeFailure(error)) }));
  try {
    return await Promise.race([endings, answered]);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    for (const cleanUp of cleanUps) cleanUp();
    input.end();
  }
}

function statusOf({ success, errors }: InvestigationResult): OperationStatus {
  if (success) return "success";
  return errors?.[0] === STOPPED ? "cancelled" : "failed";
}

function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal?.aborted) listener();
  else signal?.addEventListener("abort", listener, { once: true });
  return () => signal?.removeEventListener("abort", listener);
}

/** The outcome of several operations. */
export interface OperationsOutcome {
  /** The worst status of the operations: a failure overrides success. */
  readonly status: OperationStatus;
  /** The outcomes, each in the place of its operation. */
  readonly outcomes: readonly OperationOutcome[];
}

const WORST_FIRST: readonly OperationStatus[] = ["failed", "timeout", "cancelled", "expired", "success"];

/** Carries out operations at the same time. It does not reject. */
export async function runOperations(
  host: OperationHost,
  operations: readonly Operation[],
  options: OperationOptions = {},
): Promise<OperationsOutcome> {
  const outcomes = await Promise.all(operations.map((operation) => runOperation(host, operation, options)));
  const status = WORST_FIRST.find((each) => outcomes.some((outcome) => outcome.status === each)) ?? "success";
  return { status, outcomes };
}
