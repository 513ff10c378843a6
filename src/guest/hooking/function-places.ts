import { HookError } from "../errors";
import type { FoundFunction, FoundFunctions, HookAccess } from "./hook-access";
import { type FunctionDescription, type HookBody, planParameters } from "./hooked-function";
import type { HookedSpace, LoadedModule } from "./hooked-space";
import type { CallingConvention } from "./values/calling-convention";
import { chooseNames, isWantedProcess, type WantedHook } from "./wanted-hook";

/** While a module's symbols are not in memory, they are looked for so often, at this distance. */
const RETRY_MS = 20;
const MOST_RETRIES = 100;

/** The owner of the hooks, as far as finding their places needs it. */
export interface PlaceOwner {
  isThere(space: HookedSpace, loaded: LoadedModule): boolean;
  isWanted(wanted: WantedHook): boolean;
  /** Functions were added later than they were asked for. */
  onAdded(): void;
  /** A function is hooked whose end is waited for. */
  watchEnds(): void;
}

/** Finds the functions that hooks look for in the modules of processes, and hooks them there. */
export class FunctionPlaces {
  constructor(
    private readonly access: HookAccess,
    private readonly owner: PlaceOwner,
  ) {}

  /** Hooks in a module what a hook looks for. @returns the error to report when the module lacks it */
  apply(space: HookedSpace, loaded: LoadedModule, wanted: WantedHook, tries = 0): HookError | undefined {
    if (!wanted.matches(loaded) || !isWantedProcess(wanted.options, loaded.pid, space.pgd)) return undefined;
    const { name } = wanted;
    const found = this.#find(space.pgd, loaded.base, name);
    if (!found.isKnown) {
      const again = (): void => this.#tryAgain(space, loaded, wanted, tries + 1);
      if (tries < MOST_RETRIES) this.access.callLater(again, RETRY_MS);
      return undefined;
    }
    const chosen = chooseNames(found.functions, loaded.name, wanted.options);
    for (const [one, description] of chosen) this.#hook(space, loaded, wanted, found, one, description);
    const isExact = typeof name === "string" && !/[*?]/.test(name) && !/^!|[*?]/.test(wanted.module);
    if (found.functions.length > 0 || !isExact || wanted.isLackReported) return undefined;
    wanted.isLackReported = true;
    const hint = found.nearest === undefined ? "" : `; did you mean ${found.nearest}?`;
    const where = space.pgd === 0n ? "the kernel" : `process ${loaded.pid}`;
    return new HookError(`${loaded.path || loaded.name} has no function ${name} (in ${where})${hint}`);
  }

  #tryAgain(space: HookedSpace, loaded: LoadedModule, wanted: WantedHook, tries: number): void {
    if (!this.owner.isThere(space, loaded) || !this.owner.isWanted(wanted)) return;
    const lack = this.apply(space, loaded, wanted, tries);
    this.owner.onAdded();
    if (lack !== undefined) throw lack;
  }

  #find(pgd: bigint, base: bigint, name: string | bigint): FoundFunctions {
    try {
      return this.access.findFunctions(pgd, base, name);
    } catch {
      // The process ends just now, or its lists are being changed.
      return { functions: [], isKnown: false, bits: 64, from: 0n, to: 0n };
    }
  }

  #hook(
    space: HookedSpace,
    { name: module }: LoadedModule,
    wanted: WantedHook,
    { bits, from, to }: FoundFunctions,
    { name, address, isChooser, chosen }: FoundFunction,
    description: FunctionDescription,
  ): void {
    const convention: CallingConvention = bits === 64 ? "sysv64" : space.pgd === 0n ? "regparm32" : "cdecl32";
    const add = (hook: HookBody, at: bigint, types: FunctionDescription): void => {
      if (hook.handlers.onLeave !== undefined) this.owner.watchEnds();
      space.add({ hook, module, from, to, name, address: at, ...planParameters(types, convention) });
    };
    if (!isChooser) return add(wanted.body, address, description);
    if (chosen !== undefined) return add(wanted.body, chosen, description);
    // The dynamic loader calls it once for each module that asks for the function, before the first call of it.
    const onLeave = ({ result }: { readonly result: unknown }): void => {
      const isCode = typeof result === "bigint" && result >= from && result < to;
      if (!isCode || !this.owner.isWanted(wanted)) return;
      add(wanted.body, result, description);
      this.owner.onAdded();
    };
    const body = { ...wanted.body, handlers: { onLeave }, fromOutside: false, calls: 0, parent: wanted.body };
    add(body, address, { parameters: [], returns: "pointer" });
  }
}
