import { encodeMessage } from "../message-codec";
import { register } from "./host-access";
import { callHandler, createListener } from "./listeners";
import { ask, openAnswer } from "./messages";
import { createStreamListener, EventBatch } from "./event-batch";

type Callback = (...args: unknown[]) => unknown;

/** A script's callbacks; src/machine/callbacks/callback-manager.ts says what its methods do. rebox keeps the list. */
export class CallbackManager {
  readonly #id: number;
  readonly #moduleHandle: number;

  constructor(moduleHandle: number) {
    this.#moduleHandle = moduleHandle;
    this.#id = ask("manager.create", moduleHandle) as number;
  }

  getModuleHandle(): number {
    return this.#moduleHandle;
  }

  generateCallbackName(name: string): string {
    return ask("manager.generateCallbackName", this.#id, name) as string;
  }

  addCallback(type: string, callback: Callback, options: object = {}): string {
    if (typeof callback !== "function") throw new TypeError(`${type} needs a function to call, not ${typeof callback}`);
    const message = encodeMessage(["callback", this.#id, type, options]);
    return openAnswer(register(message, createListener(type, callback))) as string;
  }

  addStream(type: string, handler: (batch: object) => unknown, options: object = {}): string {
    if (typeof handler !== "function") throw new TypeError(`a stream needs a function to call, not ${typeof handler}`);
    const columns = ask("manager.columns", type, options) as { capacity: number; lengths: Record<string, number> };
    const batch = new EventBatch(columns.capacity, columns.lengths);
    const listener = createStreamListener(batch, () => callHandler(handler, batch));
    return openAnswer(register(encodeMessage(["stream", this.#id, type, options]), listener)) as string;
  }

  rmCallback(name: string): void {
    ask("manager.rmCallback", this.#id, name);
  }

  callbackExists(name: string): boolean {
    return ask("manager.callbackExists", this.#id, name) as boolean;
  }

  addTrigger(callbackName: string, path: string): void {
    ask("manager.addTrigger", this.#id, callbackName, path);
  }

  rmTrigger(callbackName: string): void {
    ask("manager.rmTrigger", this.#id, callbackName);
  }

  setTriggerVar(callbackName: string, varName: string, value: unknown): void {
    ask("manager.setTriggerVar", this.#id, callbackName, varName, value);
  }

  getTriggerVar(callbackName: string, varName: string): unknown {
    return ask("manager.getTriggerVar", this.#id, callbackName, varName);
  }

  callTriggerFunction(callbackName: string, functionName: string): void {
    ask("manager.callTriggerFunction", this.#id, callbackName, functionName);
  }

  clean(): void {
    ask("manager.clean", this.#id);
  }
}
