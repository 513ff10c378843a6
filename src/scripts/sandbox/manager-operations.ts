import { relative, resolve, sep } from "node:path";
import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import type { CallbackOptions, StreamOptions } from "../../machine/callbacks/callback-types";
import { EventBatch, type StreamType } from "../../machine/callbacks/event-batch";
import { findTriggerFile } from "../../machine/callbacks/trigger-file";
import type { TriggerValue } from "../../machine/callbacks/triggers";
import { getProjectFolder } from "../../config/folders";
import type { ModuleOwner } from "../../machine/ownership/module-owner";
import type { Caller, Operations } from "./operation";

type ManagerClass = new (moduleHandle: number, owner: ModuleOwner) => CallbackManager;
type Listener = (...args: never[]) => unknown;

/** Triggers of rebox's own that write files, whose names a script would choose. */
const WRITING_TRIGGERS = ["trigger_block_user_only_coverage"];

/** What is behind CallbackManager in the sandbox: a manager of rebox's for each of the script's. */
export class ManagerOperations {
  private readonly managers = new Map<number, CallbackManager>();
  moduleHandle: number | undefined;

  constructor(
    private readonly caller: Caller,
    private readonly owner: ModuleOwner,
    private readonly Manager: ManagerClass | undefined,
    private readonly mayLoadTriggers: boolean,
  ) {}

  readonly operations: Operations = {
    "manager.create": (moduleHandle) => this.create(moduleHandle),
    "manager.generateCallbackName": (id, name) => this.get(id).generateCallbackName(String(name)),
    "manager.columns": (type, options) => {
      const { capacity, columns } = options as StreamOptions;
      return describeColumns(new EventBatch(type as StreamType, capacity, columns));
    },
    "manager.rmCallback": (id, name) => this.get(id).rmCallback(String(name)),
    "manager.callbackExists": (id, name) => this.get(id).callbackExists(String(name)),
    "manager.addTrigger": (id, name, path) => {
      this.checkTrigger(String(path));
      this.get(id).addTrigger(String(name), String(path));
    },
    "manager.rmTrigger": (id, name) => this.get(id).rmTrigger(String(name)),
    "manager.setTriggerVar": (id, name, variable, value) =>
      this.get(id).setTriggerVar(String(name), String(variable), value as TriggerValue),
    "manager.getTriggerVar": (id, name, variable) => this.get(id).getTriggerVar(String(name), String(variable)),
    "manager.callTriggerFunction": (id, name, called) => this.get(id).callTriggerFunction(String(name), String(called)),
    "manager.clean": (id) => this.get(id).clean(),
  };

  /**
   * Registers a callback or a stream, whose function the engine calls directly.
   *
   * @param listener a function of the sandbox: nothing but the engine may call it, and nothing may look at it
   * @returns its name
   */
  register(kind: unknown, id: unknown, type: unknown, options: unknown, listener: Listener): string {
    this.owner.check();
    const manager = this.get(id);
    if (kind === "stream") {
      const handler = listener as unknown as (batch: EventBatch) => void;
      return manager.addStream(type as StreamType, handler, options as StreamOptions);
    }
    return manager.addCallback(type as "BLOCK_BEGIN_CB", listener as never, options as CallbackOptions);
  }

  private create(moduleHandle: unknown): number {
    if (this.moduleHandle === undefined || this.Manager === undefined) {
      throw new Error("create the CallbackManager in initialize_callbacks(), with the handle that it is given");
    }
    if (moduleHandle !== this.moduleHandle) {
      throw new RangeError(`module handle ${String(moduleHandle)} is not this script's: it is ${this.moduleHandle}`);
    }
    const id = this.caller.createId();
    this.managers.set(id, new this.Manager(this.moduleHandle, this.owner));
    return id;
  }

  private get(id: unknown): CallbackManager {
    const manager = this.managers.get(Number(id));
    if (manager === undefined) throw new RangeError("there is no such CallbackManager");
    return manager;
  }

  /** A trigger is native code, so a script in the sandbox may have rebox's own only. */
  private checkTrigger(path: string): void {
    const { source, library } = findTriggerFile(path);
    const below = relative(resolve(getProjectFolder(), "triggers"), source ?? library);
    const isOwn = source !== undefined && !below.startsWith("..") && !below.includes(sep);
    const writes = WRITING_TRIGGERS.some((name) => below.startsWith(name));
    this.caller.demand(this.mayLoadTriggers || (isOwn && !writes), `the trigger ${path}`, "triggers");
  }
}

function describeColumns(batch: EventBatch) {
  const { capacity, cpu, size, pc, pgd, address, physical, data, number } = batch;
  const columns = Object.entries({ cpu, size, pc, pgd, address, physical, data, number });
  return { capacity, lengths: Object.fromEntries(columns.map(([name, column]) => [name, column.length])) };
}
