import { DiskError } from "../../../guest/disks/disk-error";
import {
  AddressError,
  AttachError,
  BtfError,
  KernelDataError,
  MissingSymbolError,
  MissingTypeError,
} from "../../../systems/errors";
import { VolatilityError } from "../../../guest/volatility/volatility-error";
import { encodeMessage } from "../message-codec";

/** An address of the guest could not be read or written. */
export class MemoryError extends Error {
  override readonly name = "MemoryError";
  readonly address: bigint;
  readonly pgd?: bigint;

  constructor(message: string, detail: { readonly address: bigint; readonly pgd?: bigint }) {
    super(message);
    this.address = detail.address;
    if (detail.pgd !== undefined) this.pgd = detail.pgd;
  }
}

/** A trigger that cannot be found, compiled, loaded or attached. */
export class TriggerError extends Error {
  override readonly name = "TriggerError";
}

/** A script that cannot be found, compiled, started or stopped, or a command of one. */
export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

/** The engine was used in a way that cannot work. */
export class EngineUsageError extends Error {
  override readonly name = "EngineUsageError";
}

/** QEMU refused its arguments. */
export class EngineStartError extends Error {
  override readonly name = "EngineStartError";
}

/** QEMU answered a QMP command with an error. */
export class QmpError extends Error {
  override readonly name = "QmpError";
}

const CLASSES: Record<string, new (message: string) => Error> = {
  ...{ Error, RangeError, TypeError, SyntaxError },
  ...{ TriggerError, ScriptError, EngineUsageError, EngineStartError, QmpError },
};

/** Errors about the guest: their classes are rebox's own, compiled into the sandbox. */
export const GUEST_ERRORS: Readonly<Record<string, typeof Error>> = {
  ...{ AddressError, AttachError, BtfError, KernelDataError, MissingSymbolError, MissingTypeError },
  ...{ DiskError, VolatilityError },
} as unknown as Record<string, typeof Error>;

/** Makes an error whose text is known already: constructors would make it of its parts. */
function createGuestError(name: string, message: string, detail: object): Error | undefined {
  const Class = Object.hasOwn(GUEST_ERRORS, name) ? GUEST_ERRORS[name] : undefined;
  if (Class === undefined) return undefined;
  const error = Reflect.construct(Error, [message], Class) as Error;
  return Object.assign(error, { name, ...detail });
}

/** Makes an error of this realm of one that rebox has described. */
export function createError(name: string, message: string, detail: Record<string, unknown>): Error {
  if (name === "MemoryError") return new MemoryError(message, detail as { address: bigint; pgd?: bigint });
  const known = createGuestError(name, message, detail);
  if (known !== undefined) return known;
  const Class = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
  return Object.assign(new (Class ?? Error)(message), detail);
}

const NOT_SHOWN = "a value that cannot be shown as text";

/**
 * Describes what was thrown, for rebox: whatever it is, and whatever its own code does.
 *
 * @returns text of message-codec.ts: name, message, stack
 */
export function describeThrown(thrown: unknown): string {
  try {
    if (thrown instanceof Error) {
      const { name, message, stack } = thrown;
      return encodeMessage([String(name), String(message), typeof stack === "string" ? stack : ""]);
    }
    const isObject = (typeof thrown === "object" && thrown !== null) || typeof thrown === "function";
    return encodeMessage(["", isObject ? NOT_SHOWN : String(thrown), ""]);
  } catch {
    return encodeMessage(["", NOT_SHOWN, ""]);
  }
}

interface CallSite {
  getFunctionName(): string | null;
  getTypeName(): string | null;
  getFileName(): string | null;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
}

/** Formats a stack as Node does; frames outside of the sandbox are left out. */
export function formatStack(error: unknown, sites: readonly CallSite[]): string {
  const frames: string[] = [];
  for (const site of sites) {
    const file = site.getFileName();
    if (file === null || file === undefined || file.startsWith("rebox-realm")) continue;
    const place = `${file}:${site.getLineNumber()}:${site.getColumnNumber()}`;
    const name = site.getFunctionName();
    frames.push(name ? `    at ${name} (${place})` : `    at ${place}`);
  }
  let head = NOT_SHOWN;
  try {
    const { name, message } = error as Error;
    head = message === "" ? String(name) : `${String(name)}: ${String(message)}`;
  } catch {
    // Its own name or message throws.
  }
  return [head, ...frames].join("\n");
}
