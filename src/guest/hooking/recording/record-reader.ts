import type { AddressName } from "../../../systems/guest-system";
import type { HookAccess } from "../hook-access";
import type { FunctionHandlers } from "../hooked-function";
import { decodeAscii } from "../values/guest-values";
import { type AddressKey, keyOf, type RecordBatch, RecordedCall, type RecordedFunction } from "./recorded-call";

/** In the place of a function's number: a caller's address, and the time at which records were taken. */
const NEW_CALLER = 0xffff_ffff;
const TIME = 0xffff_fffe;
const NS_PER_MS = 1e6;

type OnCalls = NonNullable<FunctionHandlers["onCalls"]>;

/** Calls that are handed over together. */
export interface CallGroup {
  readonly onCalls: OnCalls;
  readonly calls: RecordedCall[];
}

/** Reads the records of triggers/trigger_call_record.cc, and knows the names of callers. */
export class RecordReader {
  /** By address space, 0 for the kernel, and return address. */
  readonly #callers = new Map<bigint, Map<AddressKey, AddressName | undefined>>();

  constructor(
    private readonly access: HookAccess,
    private readonly findFunction: (id: number) => RecordedFunction | undefined,
  ) {}

  /** Reads records. Hooks that share a function get their calls in one order. */
  read(bytes: Uint8Array): CallGroup[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // The last record has the time.
    const now = Number(view.getBigUint64(bytes.length - 8, true));
    const batch: RecordBatch = {
      view,
      bytes,
      clockBeganMs: performance.now() - now / NS_PER_MS,
      decodeText: (text) => decodeAscii(text) ?? this.access.decodeText(text),
      findCaller: ({ space }, address) => this.#callers.get(space)?.get(address),
    };
    const groups: CallGroup[] = [];
    let last: CallGroup | undefined;
    for (let at = 0; at < bytes.length; at += view.getUint32(at, true)) {
      const id = view.getUint32(at + 4, true);
      if (id === NEW_CALLER) this.#noteCaller(view, at);
      if (id === NEW_CALLER || id === TIME) continue;
      const recorded = this.findFunction(id);
      const onCalls = recorded?.called.hook.handlers.onCalls;
      if (recorded === undefined || onCalls === undefined) continue;
      if (last?.onCalls !== onCalls) groups.push((last = { onCalls, calls: [] }));
      last.calls.push(new RecordedCall(batch, at, recorded));
    }
    return groups;
  }

  /** Forgets the callers in an address space, or all. */
  forgetCallers(space?: bigint): void {
    if (space === undefined) this.#callers.clear();
    else this.#callers.delete(space);
  }

  #noteCaller(view: DataView, at: number): void {
    const [pgd, address, space] = [8, 16, 24].map((place) => view.getBigUint64(at + place, true)) as [bigint, bigint, bigint]; // prettier-ignore
    let known = this.#callers.get(space);
    if (known === undefined) this.#callers.set(space, (known = new Map<AddressKey, AddressName | undefined>()));
    let found: AddressName | undefined;
    try {
      // A call may be the last instruction of its function: the address that it returns to lies behind that.
      found = this.access.findName(pgd, address - 1n);
    } catch {
      // The process is just ending: its list of modules is gone.
    }
    known.set(keyOf(view, at + 16), found && { ...found, offset: found.offset + 1 });
  }
}

/** Hands calls over, all of them, also when a function fails. @throws the error of the first that failed */
export function handOver(groups: readonly CallGroup[]): void {
  const errors: unknown[] = [];
  for (const { onCalls, calls } of groups) {
    try {
      onCalls(calls);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
