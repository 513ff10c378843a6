import { setErrorReader } from "../../machine/callbacks/callback-registry";
import type { CallbackManager } from "../../machine/callbacks/callback-manager";
import { Engine } from "../../machine/engine/engine";
import { viewPa } from "../../machine/state/memory";
import { MemoryError } from "../../machine/state/memory-error";
import type { ModuleOwner } from "../../machine/ownership/module-owner";
import { createOwnMonitoring } from "../script-api";
import { createOwnedTimers } from "../owned-timers";
import { toColouredText } from "../../config/terminal-text";
import { createDiskOperations } from "./disk-operations";
import { createEngineOperations } from "./engine-operations";
import { FileAccess } from "./file-access";
import { createFileOperations } from "./file-operations";
import { createGuestOperations } from "./guest-operations";
import { createMachineOperations } from "./machine-operations";
import { ManagerOperations } from "./manager-operations";
import { decodeMessage, encodeMessage } from "./message-codec";
import { createNetOperations } from "./net-operations";
import type { Caller, Operations } from "./operation";
import { createProgramOperations } from "./program-operations";
import { createVolatilityOperations } from "./volatility-operations";
import type { RawHost, RealmControl } from "./raw-host";
import { listErrorDetails } from "./error-details";
import { readThrown } from "./thrown-text";
import type { SandboxedSource, SandboxedSurroundings } from "./sandboxed-script";

/** What the host needs of the script that it serves. */
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

const PAGING_CPU = 0;

setErrorReader(readThrown);

/** rebox's side of one sandbox: it carries out what the inside asks for, and lets it have nothing else. */
export class SandboxHost {
  readonly raw: RawHost;
  /** The inside's side. */
  control: RealmControl | undefined;
  private readonly operations: Operations;
  private readonly managers: ManagerOperations;
  private readonly holds = new Map<number, { resolve(): void; reject(error: Error): void }>();
  private lastId = 0;

  constructor(
    private readonly source: SandboxedSource,
    surroundings: SandboxedSurroundings,
    private readonly callbacks: SandboxCallbacks,
  ) {
    const { name, owner, permissions } = source;
    const api = surroundings.api as Readonly<Record<string, unknown>>;
    const caller = this.createCaller();
    const files = new FileAccess(name, permissions.folders);
    const Manager = api["CallbackManager"] as (new (handle: number, owner: ModuleOwner) => CallbackManager) | undefined;
    this.managers = new ManagerOperations(caller, owner, Manager, permissions.triggers);
    const own =
      "startMonitoringProcess" in api
        ? createOwnMonitoring(api as unknown as Parameters<typeof createOwnMonitoring>[0], owner)
        : {};
    this.operations = {
      ...createMachineOperations(caller, { ...api, ...own }, files, permissions.modules),
      ...createGuestOperations(api),
      ...createDiskOperations(),
      ...createEngineOperations(caller, owner, permissions.monitor),
      ...createFileOperations(files),
      ...createNetOperations(caller, owner, permissions.net),
      ...createProgramOperations(caller, owner, permissions.childProcess),
      ...createVolatilityOperations(caller, owner, files, permissions.volatility),
      ...this.managers.operations,
      ...this.createTimerOperations(),
      ...this.createOwnOperations(surroundings.console),
    };
    this.raw = this.createRaw();
  }

  set moduleHandle(handle: number) {
    this.managers.moduleHandle = handle;
  }

  private createCaller(): Caller {
    const { name, owner } = this.source;
    return {
      name,
      createId: () => ++this.lastId,
      emit: (id, value) => {
        if (owner.isOpen) this.callbacks.enter(() => this.control?.emit(id, encodeMessage(value)) ?? "");
      },
      demand: (isPermitted, what, permission) => {
        if (isPermitted) return;
        throw new Error(
          `${name} may not use ${what}; to permit it: [PERMISSIONS] ${name}: ${permission} in pyrebox.conf`,
        );
      },
    };
  }

  private createRaw(): RawHost {
    const native = () => Engine.get().native;
    return {
      flags: new Uint8Array(1),
      call: (operation, message) => this.answer(() => this.perform(operation, message)),
      register: (message, listener) =>
        this.answer(() => {
          this.callbacks.registered();
          const [kind, id, type, options] = decodeMessage(message, toBuffer) as unknown[];
          return this.managers.register(kind, id, type, options, listener);
        }),
      readPhysical: (address, into) => native().readPhysical(address, into),
      writePhysical: (address, from) => native().writePhysical(address, from),
      readVirtual: (pgd, address, into) => native().readVirtual(PAGING_CPU, pgd, BigInt.asUintN(64, address), into),
      writeVirtual: (pgd, address, from) => native().writeVirtual(PAGING_CPU, pgd, BigInt.asUintN(64, address), from),
      lastFault: () => native().lastFault(),
      viewPhysical: (address, size) => findView(address, size),
      words: (cpuIndex) => {
        const state = native().cpuState(cpuIndex);
        return state && new BigUint64Array(state, 0, state.byteLength >> 3);
      },
      readRegister: (cpuIndex, id) => native().readRegister(cpuIndex, id) ?? 0n,
      hold: (id) => new Promise<void>((resolve, reject) => this.holds.set(id, { resolve, reject })),
    };
  }

  private perform(operation: string, message: string): unknown {
    const perform = Object.hasOwn(this.operations, operation) ? this.operations[operation] : undefined;
    if (perform === undefined) throw new TypeError(`the sandbox has no operation ${operation}`);
    return perform(...(decodeMessage(message, toBuffer) as unknown[]));
  }

  /** Whatever happens, the answer is text. */
  private answer(call: () => unknown): string {
    try {
      const value = call();
      if (!(value instanceof Promise)) return encodeMessage(["value", value]);
      const ticket = ++this.lastId;
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

  private createTimerOperations(): Operations {
    const timers = createOwnedTimers(this.source.owner);
    const running = new Map<number, { end(): void; refresh(): void }>();
    return {
      "timer.start": (delayMs, repeats) => {
        const id = ++this.lastId;
        const fire = () => {
          if (repeats !== true) running.delete(id);
          this.callbacks.enter(() => this.control?.fire(id) ?? "");
        };
        if (Number(delayMs) < 0) {
          const immediate = timers.setImmediate(fire);
          running.set(id, { end: () => timers.clearImmediate(immediate), refresh: () => undefined });
        } else {
          const timer =
            repeats === true ? timers.setInterval(fire, Number(delayMs)) : timers.setTimeout(fire, Number(delayMs));
          running.set(id, { end: () => timers.clearTimeout(timer), refresh: () => void timer.refresh() });
        }
        return id;
      },
      "timer.end": (id) => {
        running.get(Number(id))?.end();
        running.delete(Number(id));
      },
      "timer.refresh": (id) => running.get(Number(id))?.refresh(),
    };
  }

  private createOwnOperations(console: Console): Operations {
    const { permissions } = this.source;
    const permitted: Readonly<Record<string, boolean>> = {
      fs: permissions.folders.length > 0,
      "fs/promises": permissions.folders.length > 0,
      net: permissions.net,
      child_process: permissions.childProcess,
    };
    return {
      mayUse: (module) => permitted[String(module)] === true,
      print: (text) => this.callbacks.print(String(text)),
      console: (level, text) => {
        const shown = toColouredText(String(text));
        if (level === "error") console.error("%s", shown);
        else console.log("%s", shown);
      },
      settled: (ticket, ...outcome) => this.callbacks.settled(Number(ticket), outcome),
      releaseHold: (id, thrown) => {
        const hold = this.holds.get(Number(id));
        this.holds.delete(Number(id));
        if (thrown === "") hold?.resolve();
        else hold?.reject(this.callbacks.toError(String(thrown)));
      },
    };
  }
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

function toBuffer(bytes: Uint8Array): Uint8Array {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
