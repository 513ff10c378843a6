import { pathToFileURL } from "node:url";
import type { ScriptPermissions } from "../../config/script-permissions";
import { callbackRegistry } from "../../machine/callbacks/callback-registry";
import { findRealmRoot } from "../../machine/engine/realm-root";
import type { ModuleOwner } from "../../machine/ownership/module-owner";
import { TimeLimitError } from "../../config/errors";
import { callWithin } from "../../config/limits";
import type { FindRequired } from "../loading/required-imports";
import type { ScriptBundle } from "../loading/script-bundle";
import type { ScriptLimits } from "../script-host-options";
import type { ScriptRuntime } from "../script-runtime";
import { encodeMessage } from "./message-codec";
import { describeApi } from "./sandbox-api";
import { SandboxContext } from "./sandbox-context";
import { decodeFromRealm, SandboxHost } from "./sandbox-host";
import { BundlePositions, readDescription, readThrown } from "./thrown-errors";

/** Promises that a callback has left behind are looked for this often. */
const DRAIN_INTERVAL_MS = 10;

/** The script, and what it may do. */
export interface SandboxedSource {
  readonly name: string;
  readonly file: string;
  readonly bundle: ScriptBundle;
  readonly owner: ModuleOwner;
  readonly permissions: ScriptPermissions;
  readonly limits: ScriptLimits;
}

/** The surroundings of a script: what it imports, prints to and is left by its predecessor. */
export interface SandboxedSurroundings {
  readonly api: object;
  readonly console: Console;
  readonly hotData: unknown;
  readonly findRequired: FindRequired;
  onStrayError(error: Error): void;
}

type Outcome = readonly ["value", unknown] | readonly ["pending"] | readonly ["thrown", string];

let versions = 0;

/** A script in the sandbox, as rebox sees it: functions that take and return text, and errors of rebox's own. */
export class SandboxedScript implements ScriptRuntime {
  private readonly context: SandboxContext;
  private readonly host: SandboxHost;
  private readonly bundleName: string;
  private readonly positions: BundlePositions;
  private readonly waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  private exportNames: readonly string[] = [];
  private lastTicket = 0;
  private drainTimer: NodeJS.Timeout | undefined;
  private print: (text: string) => void = () => undefined;

  constructor(
    private readonly source: SandboxedSource,
    private readonly surroundings: SandboxedSurroundings,
  ) {
    // vm2 takes a path for a file of the host, and hides its frames.
    this.bundleName = `rebox-script-${++versions}.js`;
    this.positions = BundlePositions.add(this.bundleName, source.bundle.sourceMap);
    source.owner.own(() => this.positions.forget());
    this.host = new SandboxHost(source, surroundings.console, surroundings.findRequired, {
      enter: (call) => this.enter(call),
      print: (text) => this.print(text),
      registered: () => this.watchPromises(),
      settled: (ticket, outcome) => this.settled(ticket, outcome),
      toError: (description) => this.toError(description),
    });
    this.context = new SandboxContext(this.host.raw);
    this.host.control = this.context.control;
  }

  /** Prepares what all sandboxes share; before the first constructor. */
  static prepare(): Promise<void> {
    callbackRegistry.setErrorReader(readThrown);
    return SandboxContext.prepare();
  }

  run(): Readonly<Record<string, unknown>> {
    const { bundle, file, name } = this.source;
    const { api, hotData } = this.surroundings;
    const factory = this.context.compile(bundle.code, this.bundleName);
    const message = { name, url: pathToFileURL(file).href, ...describeApi(api), hotData: hotData ?? "" };
    const { kinds, requirements } = this.open(this.context.control.load(factory, encodeMessage(message))) as {
      kinds: [string, string][];
      requirements: unknown;
    };
    this.exportNames = kinds.map(([key]) => key);
    const exported = kinds.map(([key, kind]) => [key, kind === "function" ? this.createFunction(key) : EXAMPLES[kind]]);
    return { ...(Object.fromEntries(exported) as object), requirements };
  }

  listExports(): string[] {
    return [...this.exportNames];
  }

  readExport(name: string): unknown {
    const { callMs } = this.source.limits;
    const kind = this.open(this.call(() => this.context.control.readExport(name), callMs)) as readonly unknown[];
    if (kind[0] === "value") return kind[1];
    return (...args: unknown[]) =>
      this.call(
        () => this.invoke((message, ticket) => this.context.control.callExport(name, message, ticket), args),
        callMs,
      );
  }

  start(moduleHandle: number): void {
    this.host.moduleHandle = moduleHandle;
  }

  call<Result>(call: () => Result, limitMs: number): Result {
    let result: Result;
    try {
      result = callWithin(limitMs, call);
    } finally {
      // Its awaited promises continue now, also before an error of it is reported.
      this.drain(limitMs);
    }
    return result;
  }

  copyHotData(): unknown {
    return this.open(this.call(() => this.context.control.copyHotData(), this.source.limits.callMs));
  }

  findError(thrown: unknown): Error | undefined {
    // Nothing of another realm may be shown to this one: a script could have exchanged what looks at it.
    if (findRealmRoot(thrown) !== this.context.control.root) return undefined;
    try {
      const { callMs } = this.source.limits;
      return this.toError(callWithin(callMs, () => this.context.control.describe(thrown)));
    } catch {
      return new Error("it threw something that cannot be described");
    }
  }

  private createFunction(name: string): (...args: unknown[]) => unknown {
    const invoke = (args: unknown[]) =>
      this.invoke((message, ticket) => this.context.control.invoke(name, message, ticket), args);
    return (...args) => {
      if (name === "initialize_callbacks") {
        const [handle, printer] = args as [number, (text: string) => void];
        this.print = printer;
        return invoke([handle]);
      }
      return invoke(args);
    };
  }

  private invoke(call: (message: string, ticket: number) => string, args: unknown[]): unknown {
    const message = encodeMessage(args);
    const ticket = ++this.lastTicket;
    const promise = new Promise((resolve, reject) => this.waiting.set(ticket, { resolve, reject }));
    // It is awaited by who called, if it is awaited at all.
    promise.catch(() => undefined);
    const answer = call(message, ticket);
    const outcome = decodeFromRealm(answer) as Outcome;
    if (outcome[0] === "pending") return promise;
    this.waiting.delete(ticket);
    return this.open(answer);
  }

  private settled(ticket: number, outcome: readonly unknown[]): void {
    const promise = this.waiting.get(ticket);
    this.waiting.delete(ticket);
    if (outcome[0] === "value") promise?.resolve(outcome[1]);
    else promise?.reject(this.toError(String(outcome[1])));
  }

  /** Lets rebox call into the sandbox on its own account: a timer, an answer, an event. */
  private enter(call: () => string): void {
    try {
      const answer = this.call(call, this.source.limits.callMs);
      if (answer !== "") this.open(answer);
    } catch (error) {
      this.surroundings.onStrayError(this.toStray(error));
    }
  }

  /** Promises that callbacks leave behind continue without rebox calling into the sandbox. */
  private watchPromises(): void {
    if (this.drainTimer !== undefined) return;
    this.drainTimer = setInterval(() => this.drainIfMarked(), DRAIN_INTERVAL_MS);
    this.drainTimer.unref();
    this.source.owner.own(() => clearInterval(this.drainTimer));
  }

  private drainIfMarked(): void {
    const { flags } = this.host.raw;
    if (flags[0] === 0) return;
    flags[0] = 0;
    try {
      this.drain(this.source.limits.callMs);
    } catch (error) {
      this.surroundings.onStrayError(this.toStray(error));
    }
  }

  private drain(limitMs: number): void {
    try {
      this.context.drain(limitMs);
    } catch {
      throw new TimeLimitError(`has promises that ran longer than ${limitMs / 1000} s and were cut off`);
    }
  }

  private toStray(error: unknown): Error {
    if (error instanceof TimeLimitError) return new TimeLimitError(`a timer, listener or promise ${error.message}`);
    return error instanceof Error ? error : new Error("it failed");
  }

  private open(answer: string): unknown {
    const outcome = decodeFromRealm(answer) as Outcome;
    if (outcome[0] === "thrown") throw this.toError(outcome[1]);
    return outcome[1];
  }

  private toError(description: string): Error {
    return readDescription(description, (stack) => this.positions.translate(stack));
  }
}

/** Stands for an export that is no function: only what it is matters. */
const EXAMPLES: Readonly<Record<string, unknown>> = {
  number: 0,
  string: "",
  boolean: false,
  object: {},
  bigint: 0n,
  symbol: Symbol("exported"),
};
