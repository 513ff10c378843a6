import { callReserved } from "../../machine/engine/load-addon";
import { findPa, memoryAccess, viewPa } from "../../machine/state/memory";
import { getBlockCount } from "../../machine/callbacks/block-counter";
import { isMonitoredProcess } from "../../machine/state/processes";
import { getMachine } from "../../machine/state/machine-access";
import { MemoryError } from "../../machine/errors";
import type { FindRequired } from "../loading/required-imports";
import { listErrorDetails } from "./crossing-errors";
import { decodeMessage, encodeMessage } from "./message-codec";
import { perform } from "./operation";
import { OPERATIONS } from "./operations";
import { register } from "./operations/callbacks";
import type { RawHost, RealmControl } from "./raw-host";
import type { SandboxedSource } from "./sandboxed-script";
import { type ScriptLink, ScriptSession } from "./script-session";

/** The script as its host uses it. */
export interface SandboxCallbacks {
  /** Calls into the sandbox, within limits; what goes wrong there is reported. */
  enter(call: () => string): void;
  print(text: string): void;
  /** The engine is about to call functions of the sandbox. */
  registered(): void;
  /** A promise that the script had returned is settled: ["value", text] or ["thrown", description]. */
  settled(ticket: number, outcome: readonly unknown[]): void;
  toError(description: string): Error;
}

/** rebox's side of one sandbox: it carries out what the inside asks for, and lets it have nothing else. */
export class SandboxHost {
  readonly raw: RawHost;
  /** The inside's side. */
  control: RealmControl | undefined;
  private readonly session: ScriptSession;
  private readonly holds = new Map<number, { resolve(): void; reject(error: Error): void }>();

  constructor(
    { name, owner, permissions }: SandboxedSource,
    console: Console,
    findRequired: FindRequired,
    private readonly callbacks: SandboxCallbacks,
  ) {
    const link: ScriptLink = {
      print: (text) => callbacks.print(text),
      emit: (id, value) => callbacks.enter(() => this.control?.emit(id, encodeMessage(value)) ?? ""),
      fire: (timer) => callbacks.enter(() => this.control?.fire(timer) ?? ""),
      settle: (ticket, outcome) => callbacks.settled(ticket, outcome),
      releaseHold: (id, thrown) => this.releaseHold(id, thrown),
    };
    this.session = new ScriptSession(name, owner, permissions, console, link, findRequired);
    this.raw = this.createRaw();
  }

  set moduleHandle(handle: number) {
    this.session.moduleHandle = handle;
  }

  private createRaw(): RawHost {
    const call = (name: string, message: string) => this.answer(() => this.perform(name, message));
    const registerListener = (message: string, listener: (...args: never[]) => unknown) =>
      this.answer(() => {
        this.callbacks.registered();
        return register(this.session, decodeFromRealm(message) as unknown[], listener);
      });
    return {
      flags: new Uint8Array(1),
      call: (name, message) => callReserved(call, name, message),
      register: (message, listener) => callReserved(registerListener, message, listener),
      ...memoryAccess,
      copyTriggerBytes: (...place) => this.copyTriggerBytes(...place),
      viewPhysical: (address, size) => findView(address, size),
      words: (cpuIndex) => {
        const state = getMachine().cpuState(cpuIndex);
        return state && new BigUint64Array(state, 0, state.byteLength >> 3);
      },
      readRegister: (cpuIndex, id) => getMachine().readRegister(cpuIndex, id) ?? 0n,
      readRunningProcess: (cpuIndex) => getMachine().currentPgd(cpuIndex),
      translate: (pgd, address) => findPa(pgd, address),
      isMonitored: (pgd) => isMonitoredProcess(pgd),
      blockCount: () => getBlockCount(),
      hold: (id) => new Promise<void>((resolve, reject) => this.holds.set(id, { resolve, reject })),
    };
  }

  private copyTriggerBytes(manager: number, callbackName: string, variable: string, into: Uint8Array): number {
    const bytes = this.session.managers.get(manager).getTriggerVar(callbackName, variable);
    if (!(bytes instanceof Uint8Array)) return -1;
    // By this realm's own function: one of the array's own would be the script's.
    if (bytes.length <= lengthOf(into)) setBytes(into, bytes);
    return bytes.length;
  }

  private perform(name: string, message: string): unknown {
    const operation = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
    if (operation === undefined) throw new TypeError(`the sandbox has no operation ${name}`);
    return perform(this.session, operation, name, decodeFromRealm(message) as unknown[]);
  }

  /** The answer is text, also when the call fails. */
  private answer(call: () => unknown): string {
    try {
      const value = call();
      if (!(value instanceof Promise)) return encodeMessage(["value", value]);
      const ticket = this.session.createId();
      value.then(
        (settled) => this.settle(ticket, () => encodeMessage(["value", settled])),
        (error: unknown) => this.settle(ticket, () => describeError(error)),
      );
      return encodeMessage(["ticket", ticket]);
    } catch (error) {
      return describeError(error);
    }
  }

  private settle(ticket: number, createMessage: () => string): void {
    let message: string;
    try {
      message = createMessage();
    } catch (error) {
      message = describeError(error);
    }
    this.callbacks.enter(() => this.control?.settle(ticket, message) ?? "");
  }

  private releaseHold(id: number, thrown: string): void {
    const hold = this.holds.get(id);
    this.holds.delete(id);
    if (thrown === "") hold?.resolve();
    else hold?.reject(this.callbacks.toError(thrown));
  }
}

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
const setBytes = Function.prototype.call.bind(typedArray.set) as (into: Uint8Array, from: Uint8Array) => void;
const lengthOf = Function.prototype.call.bind(Object.getOwnPropertyDescriptor(typedArray, "length")!.get!) as (
  array: Uint8Array,
) => number;

/** Makes a value of text that came from the sandbox. */
export function decodeFromRealm(text: string): unknown {
  return decodeMessage(text, (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

function findView(address: bigint, size: number): DataView | undefined {
  try {
    return viewPa(address, size);
  } catch (error) {
    if (error instanceof MemoryError) return undefined;
    throw error;
  }
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return encodeMessage(["error", "Error", "rebox could not do this", {}]);
  return encodeMessage(["error", error.name, error.message, listErrorDetails(error)]);
}
