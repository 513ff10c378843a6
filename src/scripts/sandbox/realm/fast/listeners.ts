import { Buffer } from "buffer/";
import { encodeMessage, THROWN_PREFIX } from "../../message-codec";
import { describeThrown } from "../errors";
import { callHost, copyBytes, createTwins, holdForEngine, mark } from "../host-access";
import { getCpus } from "./cpu";

// The functions that the engine calls. Its arguments may be objects of rebox's realm: the rules of host-access.ts hold
// here too, for the parameters that are called "foreign".

/** A block of instructions; see src/machine/callbacks/translation-block.ts. */
export class TranslationBlock {
  constructor(
    readonly pc: bigint,
    readonly size: number,
    readonly icount: number,
  ) {}
}

type Callback = (...args: unknown[]) => unknown;
type ForeignBlock = { readonly pc: bigint; readonly size: number; readonly icount: number };
type ForeignCpu = { readonly index: number };

const twinOf = createTwins<ForeignBlock, TranslationBlock>(
  (foreign) => new TranslationBlock(foreign.pc, foreign.size, foreign.icount),
);

let lastHold = 0;

async function waitFor(promise: unknown, id: number): Promise<void> {
  let thrown = "";
  try {
    await promise;
  } catch (error) {
    thrown = describeThrown(error);
  }
  callHost("script.releaseHold", encodeMessage([id, thrown]));
}

/** A callback that returns a promise holds the guest. The engine gets a promise of rebox's: this realm's would be a way out. */
function finish(result: unknown): unknown {
  if (!(result instanceof Promise)) return undefined;
  const id = ++lastHold;
  void waitFor(result, id);
  return holdForEngine(id);
}

/** The engine hands on to rebox a text: an object of this realm would be a way out. */
function fail(error: unknown): never {
  throw THROWN_PREFIX + describeThrown(error);
}

/**
 * Creates what the engine calls for a callback.
 *
 * @param type the callback's type
 * @param callback the script's function
 */
export function createListener(type: string, callback: Callback): (...args: never[]) => unknown {
  const cpus = getCpus();
  // Each written out, since the arguments of an event cost more than the call.
  switch (type) {
    case "BLOCK_BEGIN_CB":
      return (cpuIndex: number, _foreignCpu: unknown, foreignBlock: ForeignBlock) => {
        mark();
        let result: unknown;
        try {
          result = callback(cpuIndex, cpus[cpuIndex], twinOf(foreignBlock));
        } catch (error) {
          return fail(error);
        }
        return result === undefined ? undefined : finish(result);
      };
    case "BLOCK_END_CB":
      return (cpuIndex: number, _foreign: unknown, foreignBlock: ForeignBlock, curPc: bigint, nextPc: bigint) => {
        mark();
        let result: unknown;
        try {
          result = callback(cpuIndex, cpus[cpuIndex], twinOf(foreignBlock), curPc, nextPc);
        } catch (error) {
          return fail(error);
        }
        return result === undefined ? undefined : finish(result);
      };
    case "INSN_BEGIN_CB":
    case "INSN_END_CB":
    case "OPCODE_RANGE_CB":
    case "CPUID_CB":
      return (cpuIndex: number, _foreignCpu: unknown, pc?: bigint, nextPc?: bigint, insnSize?: number) => {
        mark();
        let result: unknown;
        try {
          result = callback(cpuIndex, cpus[cpuIndex], pc, nextPc, insnSize);
        } catch (error) {
          return fail(error);
        }
        return result === undefined ? undefined : finish(result);
      };
    case "TLB_EXEC_CB":
      return (foreignCpu: ForeignCpu, vaddr: bigint) => {
        mark();
        const { index } = foreignCpu;
        let result: unknown;
        try {
          result = callback(cpus[index], vaddr);
        } catch (error) {
          return fail(error);
        }
        return result === undefined ? undefined : finish(result);
      };
    case "NIC_SEND_CB":
      return (addr: bigint, size: number, foreignBuffer: Uint8Array) =>
        callWith(callback, addr, size, toBuffer(foreignBuffer));
    case "NIC_REC_CB":
      return (foreignBuffer: Uint8Array, size: number, curPos: bigint, start: bigint, stop: bigint) =>
        callWith(callback, toBuffer(foreignBuffer), size, curPos, start, stop);
    case "EXEC_CB":
      return (pid: number, pgd: bigint, name: string, path: string, foreignArgv: string[], foreignEnvp: string[]) =>
        callWith(callback, pid, pgd, name, path, copyWords(foreignArgv), copyWords(foreignEnvp));
    default:
      return (a: unknown, b: unknown, c: unknown, d: unknown, e: unknown, f: unknown, g: unknown, h: unknown) =>
        callWith(callback, plain(a), plain(b), plain(c), plain(d), plain(e), plain(f), plain(g), plain(h));
  }
}

function callWith(callback: Callback, ...args: [unknown, ...unknown[]]): unknown {
  mark();
  let result: unknown;
  try {
    result = callback(...args);
  } catch (error) {
    return fail(error);
  }
  return result === undefined ? undefined : finish(result);
}

function toBuffer(foreign: Uint8Array): Buffer {
  const copy = copyBytes(foreign);
  return Buffer.from(copy.buffer as ArrayBuffer, 0, copy.byteLength);
}

/** Copies a list of text, without a call of anything. */
function copyWords(foreign: readonly string[]): readonly unknown[] {
  const words: unknown[] = [];
  const { length } = foreign;
  // Not push(), which a script may have exchanged.
  for (let index = 0; index < length; index++) words[index] = plain(foreign[index]);
  return words;
}

/** Only primitives pass. */
function plain(value: unknown): unknown {
  return (typeof value === "object" && value !== null) || typeof value === "function" ? undefined : value;
}

/** Calls a stream's handler. */
export function callHandler(handler: (batch: object) => unknown, batch: object): unknown {
  mark();
  let result: unknown;
  try {
    result = handler(batch);
  } catch (error) {
    return fail(error);
  }
  return result === undefined ? undefined : finish(result);
}
