import {
  type CallingConvention,
  type ParameterPlace,
  placeParameters,
  UNKNOWN_PARAMETERS,
} from "./values/calling-convention";
import type { FunctionCall } from "./function-call";
import type { WordReader } from "./values/guest-values";
import type { HookAccess } from "./hook-access";
import type { RecordedCall } from "./recording/recorded-call";
import type { ThreadReader } from "./thread-reader";
import type { ParameterType, ValueType } from "./values/value-types";

/**
 * The functions that a hook calls. Each is called while the guest stands still; a promise that onEnter() or onLeave() returns holds the
 * guest.
 */
export interface FunctionHandlers {
  /** Is called before the function's first instruction. */
  readonly onEnter?: (call: FunctionCall) => void | Promise<void>;
  /** Is called when the function has returned, before the caller goes on, and when it was left otherwise: call.abandoned says how. */
  readonly onLeave?: (call: FunctionCall) => void | Promise<void>;
  /**
   * In place of the others: is called with many calls at a time, after they have ended, in the order in which they ended. They are
   * written down natively, which takes the guest a small part of the time of a call into the script.
   */
  readonly onCalls?: (calls: readonly RecordedCall[]) => void;
}

/** The types of a function. */
export interface FunctionDescription {
  /** Of the parameters, in their order; without it, the first six are taken for addresses. */
  readonly parameters?: readonly ParameterType[];
  /** Of the result; "ulong" by default. */
  readonly returns?: ValueType;
  /**
   * With onCalls: the parameters, from 0, that point to memory which the function fills. It is read when the call ends; of the others
   * when it begins.
   */
  readonly filled?: readonly number[];
}

/** The parts of a hook that the functions which it has found have in common. */
export interface HookBody {
  readonly handlers: FunctionHandlers;
  /** Calls whose caller is in the same module are left out. */
  readonly fromOutside: boolean;
  /** With onCalls: as much is kept of a text, and of other bytes, in bytes. */
  readonly maxTextBytes: number;
  readonly maxBytes: number;
  /** The hook that this one serves, which waits for the function that a chooser returns. */
  readonly parent?: HookBody;
  isRemoved: boolean;
  calls: number;
}

/** One function of one process with a hook on it. */
export interface HookedFunction {
  readonly hook: HookBody;
  readonly module: string;
  /** Of the module, one behind the other: to tell calls from inside. */
  readonly from: bigint;
  readonly to: bigint;
  readonly name: string;
  readonly address: bigint;
  readonly convention: CallingConvention;
  readonly parameters: readonly ParameterType[];
  readonly places: readonly ParameterPlace[];
  readonly returns: ValueType;
  readonly filled: readonly number[];
}

/** Everything that calls need to read the guest. */
export interface CallContext {
  readonly access: HookAccess;
  readonly words: WordReader;
  readonly threads: ThreadReader;
}

const UNKNOWN: readonly ParameterType[] = Array.from({ length: UNKNOWN_PARAMETERS }, () => "pointer");
const plans = new WeakMap<readonly ParameterType[], Map<CallingConvention, readonly ParameterPlace[]>>();

/** Works out where the parameters of a function lie; functions with one list of types share the result. */
export function planParameters(
  { parameters = UNKNOWN, returns = "ulong", filled = [] }: FunctionDescription,
  convention: CallingConvention,
): Pick<HookedFunction, "parameters" | "places" | "returns" | "filled" | "convention"> {
  let known = plans.get(parameters);
  if (known === undefined) plans.set(parameters, (known = new Map<CallingConvention, readonly ParameterPlace[]>()));
  let places = known.get(convention);
  if (places === undefined) known.set(convention, (places = placeParameters(parameters, convention)));
  return { convention, parameters, places, returns, filled };
}
