import { AttachError } from "../systems/errors";
import type { GuestDiagnosis } from "../systems/guest-diagnosis";
import type { GuestSystem } from "../systems/guest-system";
import type { AttachOptions } from "../systems/linux/attach/attach";
import { attachGuest } from "../systems/linux/attach-guest";
import { diagnoseLinux } from "../systems/linux/guest-diagnosis";
import type { GuestSource } from "../systems/memory/guest-source";
import { attachWindows } from "../systems/windows/attach-windows";
import type { SymbolFinder } from "../systems/windows/symbols/image-symbols";
import { diagnoseWindows } from "../systems/windows/windows-diagnosis";

/** How the systems are looked for. */
export interface SearchOptions {
  readonly linux?: AttachOptions;
  readonly findSymbols?: SymbolFinder;
}

/**
 * Looks for the systems that rebox knows: Linux first, since its search ends soonest, then Windows. A booting guest is looked at
 * again and again, and its entry points are the same for a while: where no Windows kernel was found by them, none is looked for again.
 */
export class SystemSearch {
  readonly #linux: AttachOptions;
  readonly #findSymbols: SymbolFinder;
  /** The entry points by which there was no kernel of Windows, and those by which there was one. */
  #withoutWindows: string | undefined;
  #withWindows: string | undefined;

  constructor({ linux = {}, findSymbols = () => undefined }: SearchOptions) {
    this.#linux = linux;
    this.#findSymbols = findSymbols;
  }

  /**
   * Finds the guest's system.
   *
   * @param mayBoot whether the machine runs: before it has set an entry for system calls, it is not searched for Windows, since
   *   a Linux that boots would stand still for that; an image need not have these registers
   * @throws AttachError when there is none that can be read
   */
  attach(source: GuestSource, mayBoot = false): GuestSystem {
    const entries = describeEntries(source);
    if (entries === this.#withWindows) return this.#attachWindows(source, entries) ?? attachGuest(source, this.#linux);
    try {
      return attachGuest(source, this.#linux);
    } catch (error) {
      if (!(error instanceof AttachError) || entries === this.#withoutWindows) throw error;
      if (mayBoot && error.isEarly && !hasSystemCalls(source)) throw error;
      const windows = this.#attachWindows(source, entries);
      if (windows) return windows;
      throw error;
    }
  }

  /** Looks at the guest's system step by step: that of Windows where its kernel is found, else that of Linux. */
  diagnose(source: GuestSource): GuestDiagnosis {
    const { findProfile } = this.#linux;
    const linux = diagnoseLinux(source, findProfile ? { findProfile } : {});
    if (linux.isHealthy) return linux;
    return diagnoseWindows(source, { findSymbols: this.#findSymbols }) ?? linux;
  }

  #attachWindows(source: GuestSource, entries: string): GuestSystem | undefined {
    this.#withWindows = this.#withoutWindows = undefined;
    try {
      const found = attachWindows(source, { findSymbols: this.#findSymbols });
      if (found) this.#withWindows = entries;
      else this.#withoutWindows = entries;
      return found;
    } catch (error) {
      if (error instanceof AttachError) this.#withWindows = entries;
      throw error;
    }
  }
}

function hasSystemCalls(source: GuestSource): boolean {
  return source.cpus().some(({ lstar, sysenterEip }) => lstar !== 0n || sysenterEip !== 0n);
}

function describeEntries(source: GuestSource): string {
  return source
    .cpus()
    .map(({ lstar, sysenterEip, idtBase }) => `${lstar} ${sysenterEip} ${idtBase}`)
    .join();
}
