import { dirname, isAbsolute } from "node:path";
import { CallbackManager } from "../../machine/callbacks/callback-manager";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import { callWithin, waitAtMost } from "../../config/limits";
import type { InvestigationCatalog } from "../catalog";
import { type ContextListener, GuestContext } from "../context";
import { parseMessage, MessageQueue } from "../messages";
import type { PersistentRun, PersistentContext } from "../module";
import { describeFailure, type InvestigationResult } from "../result";
import type { ModuleConfig, PersistentTimes } from "./config";
import { MessageError, ModuleError, RunEndedError } from "../errors";

/** The surroundings of one life of a persistent module. */
export interface InstanceEnvironment {
  readonly catalog: InvestigationCatalog;
  readonly config: ModuleConfig;
  readonly times: PersistentTimes;
  log(text: string): void;
  alert(level: string, text: string): void;
  /** Called once, when the instance ends by itself or is ended for a fault. */
  onEnd(reason: string): void;
}

interface WaitingQuery {
  resolve(result: InvestigationResult): void;
  reject(error: Error): void;
}

/** One life of a persistent module, from its start until it ends by itself, fails, or is ended. */
export class PersistentInstance {
  readonly #owner: ModuleOwner;
  readonly #input = new MessageQueue();
  readonly #abort = new AbortController();
  readonly #queries = new Map<number, WaitingQuery>();
  #run: PersistentRun | undefined;
  #isRegistered = false;
  #isOver = false;
  /** The time of the first unanswered ping. A suspended process sends no pings, so it cannot end an instance for its silence. */
  #askedAt: number | undefined;
  #pinger: NodeJS.Timeout | undefined;
  #nextId = 1;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(
    readonly name: string,
    private readonly origin: string,
    private readonly environment: InstanceEnvironment,
  ) {
    this.#owner = new ModuleOwner(`investigation ${name}`, isAbsolute(origin) ? dirname(origin) : undefined);
  }

  /** Whether the instance takes queries. */
  get isRegistered(): boolean {
    return this.#isRegistered && !this.#isOver;
  }

  /** The module's run, which prints results and reads flags; undefined until it is made. */
  get run(): PersistentRun | undefined {
    return this.#run;
  }

  /** Starts the instance. It does not reject: a failure ends the instance. */
  async start(): Promise<void> {
    const { catalog, config, times } = this.environment;
    try {
      const { module } = await catalog.loadApart(this.name, this.origin, this.#owner, createInstanceApi(this.#owner));
      if (this.#isOver) return;
      if (!module.newPersistentRun) throw new ModuleError(`the module ${this.name} is no persistent one`);
      const context = new InstanceContext(this.#abort.signal, this.environment, times.pongMs, this.#owner);
      const run = module.newPersistentRun(context);
      this.#run = run;
      this.#input.push(JSON.stringify({ class: "config", parameters: config }));
      this.#pinger = setInterval(() => this.#ping(), times.pingMs);
      this.#ended = callWithin(times.pongMs, () => run.runPersist(this.#input, (line) => this.#receive(line)));
      this.#ended.then(
        () => this.#end("it has ended by itself"),
        (error: unknown) => this.#end(describeFailure(error)),
      );
    } catch (error) {
      this.#end(describeFailure(error));
    }
  }

  /**
   * Puts a query to the instance.
   *
   * @returns the module's result
   * @throws ModuleError when it is not registered, or ends before it answers; the signal's reason
   */
  async query(parameters: unknown, signal: AbortSignal): Promise<InvestigationResult> {
    if (!this.isRegistered) throw new ModuleError(`module ${this.name} is not registered`);
    signal.throwIfAborted();
    const id = this.#nextId++;
    const onAbort = () => this.#queries.get(id)?.reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        this.#queries.set(id, { resolve, reject });
        this.#input.push(JSON.stringify({ class: "parameters", id, parameters }));
      });
    } finally {
      this.#queries.delete(id);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Ends the instance: sends a stop message, waits a moment, and removes everything that it has registered. */
  async close(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#input.push(JSON.stringify({ class: "stop" }));
    this.#input.end();
    await waitAtMost(
      this.#ended.catch(() => undefined),
      this.environment.times.endMs,
    );
    this.#dispose("the engine ends");
  }

  #ping(): void {
    this.#askedAt ??= performance.now();
    const silentMs = performance.now() - this.#askedAt;
    if (silentMs > this.environment.times.pongMs) {
      this.#end(`no answer to a ping for ${Math.round(silentMs / 100) / 10} s`);
    } else this.#input.push(JSON.stringify({ class: "ping" }));
  }

  #receive(line: string): void {
    // Messages after the end are dropped.
    if (this.#isOver) return;
    try {
      const message = parseMessage(line) as ReturnType<typeof parseMessage> & Readonly<Record<string, unknown>>;
      if (message.class === "register") this.#isRegistered = true;
      else if (message.class === "ping") this.#askedAt = undefined;
      else if (message.class === "log") this.environment.log(String(message.parameters));
      else if (message.class === "alert") this.#alert(message.parameters);
      else if (message.class === "result") this.#queries.get(Number(message.id))?.resolve(message.result as never);
      else throw new MessageError(`its class is "${message.class}"`);
    } catch (error) {
      this.#end(`it has sent an unknown message: ${describeFailure(error)}`);
    }
  }

  #alert(parameters: unknown): void {
    const { level = "medium", text = "" } = (parameters ?? {}) as { readonly level?: unknown; readonly text?: unknown };
    this.environment.alert(String(level), String(text));
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#dispose(reason);
    this.environment.onEnd(reason);
  }

  #dispose(reason: string): void {
    clearInterval(this.#pinger);
    this.#input.end();
    this.#abort.abort(new RunEndedError(reason));
    for (const { reject } of this.#queries.values())
      reject(new RunEndedError(`module ${this.name} has ended: ${reason}`));
    for (const failure of this.#owner.close()) this.environment.log(`what it had registered: ${failure.message}`);
  }
}

/** The context of an instance of a persistent module. */
export class InstanceContext extends GuestContext implements PersistentContext {
  readonly callbacks: CallbackManager;

  /** @param limitMs the time that one of its functions may run before its first await, in milliseconds */
  constructor(
    signal: AbortSignal,
    listener: ContextListener,
    limitMs: number,
    private readonly owner: ModuleOwner,
  ) {
    super(signal, listener, limitMs);
    this.callbacks = new CallbackManager(0, owner);
  }

  own(dispose: () => void): void {
    this.owner.own(dispose);
  }
}

/** Makes the names that an instance's file imports in place of rebox's own: callbacks that end with the instance. */
export function createInstanceApi(owner: ModuleOwner): object {
  return {
    CallbackManager: class extends CallbackManager {
      constructor(moduleHandle = 0) {
        super(moduleHandle, owner);
      }
    },
  };
}
