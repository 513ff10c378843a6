import { ModuleOwner } from "../machine/ownership/module-owner";
import { UsageShown } from "./usage-shown";
import { describeFailure } from "./describe-failure";
import { GuestContext } from "./guest-context";
import { InstanceContext } from "./instance-context";
import { STOPPED } from "./investigation";
import type { InvestigationCatalog } from "./investigation-catalog";
import type { InvestigationContext } from "./investigation-context";
import type { InvestigationModule, InvestigationRun } from "./investigation-module";
import { createFailure, decodeResult, type InvestigationResult } from "./investigation-result";
import { MessageQueue } from "./message-queue";
import {
  DEFAULT_TIMEOUT_MS,
  type Operation,
  type OperationOptions,
  type OperationOutcome,
  type OperationStatus,
} from "./operation";
import type { PersistentHost } from "./persistent-host";
import { printResult } from "./print-result";

/** Longer logs are cut, in lines. */
const LONGEST_LOG = 1000;
/** A module that was told to stop has so long to answer, in milliseconds. */
const STOP_GRACE_MS = 5000;

/** What carries out operations. */
export interface OperationHost {
  readonly catalog: InvestigationCatalog;
  readonly persistent: PersistentHost;
}

/** Carries out one operation. It does not reject: every failure is a result. */
export async function runOperation(
  { catalog, persistent }: OperationHost,
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
    const shown = options.isPrivate === true && run.enhancePrivacy ? run.enhancePrivacy(result) : result;
    const printed = options.print && printResult(run, shown, module, options.print === "found");
    return { ...outcome(status, shown), ...(printed ? { printed } : {}) };
  } catch (error) {
    if (error instanceof UsageShown)
      return { ...outcome("success", createFailure("help printed")), usage: error.message };
    const message = describeFailure(error);
    const printed = options.print === "all" ? { printed: [`error: ${message}`] } : {};
    return { ...outcome("failed", createFailure(message)), ...printed };
  } finally {
    // Whatever still goes on for this run is to end.
    end.abort(new Error("the run is over"));
    // Whoever has the answer finds the guest as it was.
    await context.untilResumed();
  }
}

function createRun(
  module: InvestigationModule | undefined,
  name: string,
  context: InvestigationContext,
): InvestigationRun {
  if (module?.newRun) return module.newRun(context);
  throw new Error(`module ${name} is not registered: it is a persistent one, which must be started before it is asked`);
}

/** A persistent module need not live to say what its flags are. @throws UsageShown */
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
    throw new Error(`module ${module} takes no flags; give it parameters: {"class":"parameters","parameters":{…}}`);
  }
  const parsed = words === undefined ? parameters : run.paramsParser?.(words);
  return JSON.stringify({ class: "parameters", parameters: parsed ?? {} });
}

interface RunLimits extends OperationOptions {
  readonly limitMs: number;
  /** Ends the run's context. */
  readonly end: AbortController;
}

/** Runs a module until it answers, its time is over, or nobody waits any more. */
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
      end.abort(new Error(message));
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
