import { CallbackManager } from "./callback-manager";
import { Cpu, getCpus, readCpu } from "./cpu";
import { GUEST_ERRORS } from "./errors";
import { EngineStartError, EngineUsageError, MemoryError, QmpError, ScriptError, TriggerError } from "./errors";
import { findGuest, getGuest, getModuleList, getProcessList, getSymbolList, waitForGuest } from "./guest";
import { getFilesystems, GuestFile, openGuestPath } from "./disks";
import { EventBatch } from "./event-batch";
import { TranslationBlock } from "./listeners";
import { readPa, readVa, viewPa, writePa, writeVa } from "./memory";
import { ask, decode } from "./messages";
import { volatility } from "./volatility";

const listeners = new Map<number, (detail: unknown) => void>();

/** Hands on an event of the engine. */
export function emitEngineEvent(id: number, message: string): void {
  listeners.get(id)?.(decode(message));
}

/** The machine, as far as a script in the sandbox may have it; see src/machine/engine/engine.ts. */
class Engine {
  static create(): never {
    throw new EngineUsageError(
      "this process has its engine already, and QEMU can be started only once in a process: " +
        "start the second machine in a process of its own",
    );
  }

  static find(): Engine | undefined {
    return ask("engine.exists") ? engine : undefined;
  }

  static get(): Engine {
    ask("engine.state");
    return engine;
  }

  get state(): string {
    return ask("engine.state") as string;
  }

  get callbackLimitMs(): number {
    return ask("engine.callbackLimitMs") as number;
  }

  on(name: string, listener: (detail: unknown) => void): { dispose(): void } {
    const id = ask("engine.on", name) as number;
    listeners.set(id, listener);
    return {
      dispose() {
        if (listeners.delete(id)) ask("engine.off", id);
      },
    };
  }

  async pause(): Promise<void> {
    await ask("engine.pause");
  }

  async resume(): Promise<void> {
    await ask("engine.resume");
  }

  async reset(): Promise<void> {
    await ask("engine.reset");
  }

  async quit(): Promise<void> {
    await ask("engine.quit");
  }

  async qmp(command: string, args?: object): Promise<unknown> {
    return ask("engine.qmp", command, args);
  }

  async hmp(line: string): Promise<string> {
    return (await ask("engine.hmp", line)) as string;
  }
}

const engine = new Engine();

/**
 * Creates what a script imports as "rebox".
 *
 * @param constants rebox's exports that are primitives, and CallbackManager's constants
 * @param functions the names of the functions that are called in rebox, by value
 * @param promised those of them that return a promise
 */
export function createApi(
  constants: Readonly<Record<string, unknown>>,
  types: Readonly<Record<string, string>>,
  functions: readonly string[],
  promised: readonly string[],
): Record<string, unknown> {
  Object.assign(CallbackManager, types);
  const called = functions.map((name) => [name, (...args: unknown[]) => ask(`api.${name}`, ...args)]);
  const awaited = promised.map((name) => [name, async (...args: unknown[]) => ask(`api.${name}`, ...args)]);
  return {
    ...constants,
    ...(Object.fromEntries([...called, ...awaited]) as object),
    ...{ CallbackManager, EventBatch, TranslationBlock, Cpu, Engine },
    ...{ EngineStartError, EngineUsageError, MemoryError, QmpError, ScriptError, TriggerError },
    ...GUEST_ERRORS,
    ...{ findGuest, getGuest, getModuleList, getProcessList, getSymbolList, waitForGuest },
    volatility,
    ...{ getFilesystems, GuestFile, openGuestPath },
    ...{ readCpu, readPa, readVa, viewPa, writePa, writeVa },
    getNumCpus: () => getCpus().length,
    isKernelRunning: (cpuIndex = 0) => (readCpu(cpuIndex) as unknown as { CPL: bigint }).CPL === 0n,
  };
}
