import { AddressError, KernelDataError } from "../../errors";
import { walkList } from "../../structs/kernel-list";
import type { WindowsKernel } from "../kernel/windows-kernel";
import { readUnicodeString } from "../structs/unicode-string";

const MOST_CALLBACKS = 4096;
/** Of the arrays of the newest versions; those of older ones have 8. The next symbol ends an array too. */
const MOST_SLOTS = 64;
const LONGEST_COMPONENT = 64;
/** IRP_MJ_SHUTDOWN (wdm.h). */
const SHUTDOWN = 16;

/** When a callback is called. */
export type CallbackOccasion =
  | "process begins or ends"
  | "thread begins or ends"
  | "image is mapped"
  | "registry is used"
  | "system stops with an error"
  | "system shuts down"
  | "file system is registered";

/** A function that a driver has asked the kernel to call. */
export interface KernelCallback {
  readonly occasion: CallbackOccasion;
  /** The kernel's variable that leads to it. */
  readonly list: string;
  /** The function. */
  readonly address: bigint;
  /** The driver's own words with it: the altitude of a registry callback, the component of one for errors; else empty. */
  readonly detail: string;
}

type FoundCallback = Omit<KernelCallback, "occasion" | "list">;

/** A list of callbacks: how its entries lead to functions. */
interface CallbackList {
  readonly symbol: string;
  readonly occasion: CallbackOccasion;
  readonly read: (kernel: WindowsKernel, address: bigint, what: string) => Iterable<FoundCallback>;
}

const LISTS: readonly CallbackList[] = [
  { symbol: "PspCreateProcessNotifyRoutine", occasion: "process begins or ends", read: readSlots },
  { symbol: "PspCreateThreadNotifyRoutine", occasion: "thread begins or ends", read: readSlots },
  { symbol: "PspLoadImageNotifyRoutine", occasion: "image is mapped", read: readSlots },
  // XP and 2003 have an array, later ones a list whose entries have no public struct.
  { symbol: "CmpCallBackVector", occasion: "registry is used", read: readSlots },
  { symbol: "CallbackListHead", occasion: "registry is used", read: readRegistryList },
  // KBUGCHECK_CALLBACK_RECORD and KBUGCHECK_REASON_CALLBACK_RECORD of wdm.h.
  { symbol: "KeBugCheckCallbackListHead", occasion: "system stops with an error", read: readBugChecks(3) },
  { symbol: "KeBugCheckReasonCallbackListHead", occasion: "system stops with an error", read: readBugChecks(1) },
  { symbol: "IopNotifyShutdownQueueHead", occasion: "system shuts down", read: readShutdowns },
  { symbol: "IopNotifyLastChanceShutdownQueueHead", occasion: "system shuts down", read: readShutdowns },
  { symbol: "IopFsNotifyChangeQueueHead", occasion: "file system is registered", read: readFileSystems },
];

/**
 * Lists the functions that the kernel calls on certain occasions because drivers have asked for it. Lists that this kernel does
 * not have are left out.
 *
 * @throws KernelDataError when a list is damaged, or not in memory
 */
export function listKernelCallbacks(kernel: WindowsKernel): KernelCallback[] {
  const found: KernelCallback[] = [];
  for (const { symbol, occasion, read } of LISTS) {
    const address = kernel.findSymbol(symbol);
    if (address === undefined) continue;
    try {
      for (const one of read(kernel, address, symbol)) {
        if (found.length >= MOST_CALLBACKS) throw new KernelDataError(symbol, address, `more than ${MOST_CALLBACKS}`);
        found.push({ occasion, list: symbol, ...one });
      }
    } catch (error) {
      throw KernelDataError.from(error, symbol, address);
    }
  }
  return found;
}

/** An array of _EX_FAST_REF, each of a block that begins with its own lock, then the function. */
function* readSlots(kernel: WindowsKernel, array: bigint): Iterable<FoundCallback> {
  const { memory } = kernel;
  const size = BigInt(memory.pointerSize);
  const mask = kernel.bits === 64 ? 0xfn : 7n;
  for (let slot = 0n; slot < BigInt(MOST_SLOTS); slot++) {
    const place = array + slot * size;
    // Another variable begins here.
    if (slot > 0n && kernel.symbols.findSymbol(place)?.address !== array) return;
    const block = memory.pointer(place) & ~mask;
    if (block !== 0n) yield { address: memory.pointer(block + size), detail: "" };
  }
}

/** Since Vista: the links, a lock, the cookie, the context, the function, the altitude; known by looking at kernels alone. */
function* readRegistryList(kernel: WindowsKernel, head: bigint, what: string): Iterable<FoundCallback> {
  const { memory } = kernel;
  const word = BigInt(memory.pointerSize);
  // The cookie is a 64-bit number, at a multiple of 8 in both widths.
  const context = kernel.bits === 64 ? 0x20n : 0x18n;
  for (const entry of walkList(memory, head, what, 0)) {
    const altitude = kernel.at("_UNICODE_STRING", entry + context + word * 2n);
    yield { address: memory.pointer(entry + context + word), detail: readUnicodeString(altitude, memory) };
  }
}

/** Walks a list; one that nothing was put into yet may not be one. */
function* walkFilled({ memory }: WindowsKernel, head: bigint, what: string): Iterable<bigint> {
  if (memory.pointer(head) !== 0n) yield* walkList(memory, head, what, 0);
}

/** @param component how many words lie between the function and the pointer to the component's name */
function readBugChecks(component: number): CallbackList["read"] {
  return function* (kernel, head, what) {
    const { memory } = kernel;
    const word = BigInt(memory.pointerSize);
    for (const entry of walkFilled(kernel, head, what)) {
      const address = memory.pointer(entry + word * 2n);
      yield { address, detail: readComponent(kernel, memory.pointer(entry + word * BigInt(2 + component))) };
    }
  };
}

function readComponent({ memory }: WindowsKernel, address: bigint): string {
  try {
    return address === 0n ? "" : memory.text(address, LONGEST_COMPONENT);
  } catch (error) {
    if (error instanceof AddressError) return "";
    throw error;
  }
}

/** The links, then the device: its driver's function for IRP_MJ_SHUTDOWN is called. */
function* readShutdowns(kernel: WindowsKernel, head: bigint, what: string): Iterable<FoundCallback> {
  const { memory } = kernel;
  const word = BigInt(memory.pointerSize);
  for (const entry of walkFilled(kernel, head, what)) {
    const driver = kernel.at("_DEVICE_OBJECT", memory.pointer(entry + word * 2n)).follow("DriverObject");
    if (!driver) continue;
    const address = memory.pointer(driver.addressOf("MajorFunction") + word * BigInt(SHUTDOWN));
    yield { address, detail: readUnicodeString(driver.member("DriverName"), memory) };
  }
}

/** The links, the driver, the function. */
function* readFileSystems(kernel: WindowsKernel, head: bigint, what: string): Iterable<FoundCallback> {
  const { memory } = kernel;
  const word = BigInt(memory.pointerSize);
  for (const entry of walkFilled(kernel, head, what)) {
    const driver = memory.pointer(entry + word * 2n);
    const name =
      driver === 0n ? "" : readUnicodeString(kernel.at("_DRIVER_OBJECT", driver).member("DriverName"), memory);
    yield { address: memory.pointer(entry + word * 3n), detail: name };
  }
}
