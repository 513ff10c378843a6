import type { BP } from "../guest/breakpoints/breakpoint";
import type { BreakpointOptions } from "../guest/breakpoints/breakpoint-types";
import type { answerCpuid } from "../guest/answers/answer-cpuid";
import type { answerSystemCall } from "../guest/answers/answer-system-call";
import type { hookFunction } from "../guest/hooking/hook-function";
import type { ModuleOwner, Owned } from "../machine/ownership/module-owner";
import type { Doors } from "./loading/doors";

/** The object that `import { hot } from "rebox"` gives to a script. */
export interface Hot {
  /**
   * Survives a reload: the script's next version finds here a copy of all that this version has put here. Copied are the
   * values that structuredClone() copies: plain objects, arrays, maps, sets, dates, bytes, strings, numbers and bigints,
   * in circles too. Functions and classes of the script's own are refused.
   */
  data: Record<string, unknown>;
}

/** `hot` outside of a script: nothing is ever reloaded. */
export const hot: Hot = { data: {} };

interface MonitoringFunctions {
  startMonitoringProcess(pgd: bigint): void;
  stopMonitoringProcess(pgd: bigint, force?: boolean): boolean;
}

interface HookFunctions {
  readonly hookFunction?: typeof hookFunction;
  readonly answerCpuid?: typeof answerCpuid;
  readonly answerSystemCall?: typeof answerSystemCall;
}

/**
 * Creates the doors of one script: the exports for every script, except that monitoring, hooks, breakpoints
 * and `hot` are the script's own.
 *
 * @param api the exports for every script
 * @param owner the script
 * @param hot the script's state across reloads
 */
export function createScriptApi(api: Doors, owner: ModuleOwner, hot: Hot): Doors {
  const { rebox, "rebox/trusted": trusted } = api;
  const monitoring =
    "startMonitoringProcess" in rebox ? createOwnMonitoring(rebox as MonitoringFunctions, owner) : undefined;
  return {
    ...api,
    rebox: { ...rebox, ...monitoring, ...createOwnHooks(rebox as HookFunctions, owner), hot },
    "rebox/trusted": { ...trusted, ...createOwnBreakpoints(trusted as { BP?: typeof BP }, owner) },
  };
}

/** Creates the functions that set hooks which go with one script. */
function createOwnHooks(api: HookFunctions, owner: ModuleOwner): HookFunctions {
  const { hookFunction: hook, answerSystemCall: answer, answerCpuid: identify } = api;
  return {
    ...(hook && { hookFunction: (module, name, handlers, options) => hook(module, name, handlers, options, owner) }),
    ...(identify && { answerCpuid: (given, options) => identify(given, options, owner) }),
    ...(answer && { answerSystemCall: (name, answers, options) => answer(name, answers, options, owner) }),
  };
}

/** Creates the class of breakpoints that go with one script. */
function createOwnBreakpoints(api: { BP?: typeof BP }, owner: ModuleOwner): object {
  const Base = api.BP;
  if (!Base) return {};
  return {
    BP: class extends Base {
      constructor(place: bigint | string, pgd?: bigint, options?: BreakpointOptions) {
        super(place, pgd, options, owner);
      }
    },
  };
}

/**
 * Creates functions that monitor processes for one script: they end only monitoring that the script has begun, and its end
 * ends the rest. `force` ends all that this script has begun, and nothing of another.
 */
export function createOwnMonitoring(base: MonitoringFunctions, owner: ModuleOwner): MonitoringFunctions {
  const begun = new Map<bigint, Owned[]>();
  return {
    startMonitoringProcess(pgd) {
      owner.check();
      base.startMonitoringProcess(pgd);
      const own = begun.get(pgd) ?? [];
      begun.set(pgd, own);
      const owned = owner.own(() => {
        own.splice(own.indexOf(owned), 1);
        base.stopMonitoringProcess(pgd);
      });
      own.push(owned);
    },
    stopMonitoringProcess(pgd, force = false) {
      const own = begun.get(pgd) ?? [];
      const ended = own.splice(0, force ? own.length : 1);
      for (const owned of ended) {
        owned.release();
        base.stopMonitoringProcess(pgd);
      }
      return ended.length > 0;
    },
  };
}
