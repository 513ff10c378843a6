// The errors of rebox that a script in the sandbox can catch by their class. This file is compiled into both sides.
import { DiskError, HookError, VolatilityError } from "../../guest/errors";
import {
  EngineStartError,
  EngineUsageError,
  MemoryError,
  QmpError,
  RecordedError,
  TriggerError,
} from "../../machine/errors";
import {
  AddressError,
  AttachError,
  BtfError,
  KernelDataError,
  MissingSymbolError,
  MissingTypeError,
} from "../../systems/errors";
import { ScriptError } from "../errors";

/** Their classes, which "rebox" exports inside and outside of the sandbox. */
export const CROSSING_ERRORS = {
  ...{ EngineStartError, EngineUsageError, MemoryError, QmpError, RecordedError, ScriptError, TriggerError },
  ...{ AddressError, AttachError, BtfError, KernelDataError, MissingSymbolError, MissingTypeError },
  ...{ DiskError, HookError, VolatilityError },
} as const;

/** The members of these errors that cross besides their text. Other members stay on their side. */
const DETAILS = [
  ...["address", "pgd", "code"],
  // AttachError, KernelDataError and AddressError, MissingSymbolError, MissingTypeError
  ...["step", "evidence", "advice", "isEarly", "what", "symbol", "struct", "member", "origin"],
  // VolatilityError
  ...["reason", "output"],
];

/** Lists the members of an error that cross with it. */
export function listErrorDetails(error: Error): Record<string, unknown> {
  const given = error as unknown as Record<string, unknown>;
  const isPlain = (value: unknown) => value !== undefined && typeof value !== "object" && typeof value !== "function";
  return Object.fromEntries(DETAILS.map((name) => [name, given[name]]).filter(([, value]) => isPlain(value)));
}
