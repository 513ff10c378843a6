/** What programs encrypt and decrypt with Go's crypto/tls, and the secrets of their connections; for tls_plain. */
import { type FunctionCall, type FunctionHook, getSymbolList, hookFunction } from "rebox";
import { TlsConnections } from "./_tls_connections";
import { isKeyLogLabel, LONGEST_PIECE, RANDOM_SIZE, type TlsListener, toText } from "./_tls_listener";
import { ProcessHooks } from "./_tls_process_hooks";

/** Go's own way of calls since 1.17 gives arguments in RAX, RBX, RCX, RDI, RSI, R8, R9, R10, R11; R14 is the goroutine. */
const WRITE_KEY_LOG = "crypto/tls.(*Config).writeKeyLog";
const WRITE = "crypto/tls.(*Conn).Write";
const READ_RECORD = "crypto/tls.(*Conn).readRecordOrCCS";
const DECRYPT = "crypto/tls.(*halfConn).decrypt";
const FUNCTIONS: readonly string[] = [WRITE_KEY_LOG, WRITE, READ_RECORD];
/** RFC 8446, B.1. */
const APPLICATION_DATA = 23n;
const LONGEST_LABEL = 40n;
const LONGEST_SECRET = 64n;
/** decrypt() has some two thousand bytes. */
const LARGEST_FUNCTION = 1 << 14;
/** It returns at some ten places; a program that has more is not what it says. */
const MOST_RETURNS = 64;
const RETURN = 0xc3;
/** runtime/runtime2.go: g.stackguard0, behind the two bounds of the stack. */
const STACK_GUARD = 16n;

interface Goroutine {
  /** The connection whose record it reads. */
  connection: bigint;
}

/** Follows crypto/tls, of Go 1.18 or later in 64 bits, in the programs that have it. */
export class GoTlsWatcher {
  readonly #hook: FunctionHook;
  readonly #goroutines = new TlsConnections<Goroutine>(() => ({ connection: 0n }));
  /** On the instructions by which decrypt() returns. */
  readonly #returns = new ProcessHooks();

  constructor(private readonly listener: TlsListener) {
    // Go links all that a program needs into it.
    const describe = (name: string) => (FUNCTIONS.includes(name) ? { parameters: [] } : undefined);
    this.#hook = hookFunction("!*.so*", "crypto/tls.(*Con*", { onEnter: (call) => this.#enter(call) }, { describe });
  }

  remove(): void {
    this.#hook.remove();
    this.#returns.clear();
  }

  #enter(call: FunctionCall): void {
    if (call.bits !== 64 || !isEntered(call)) return;
    if (call.name === WRITE_KEY_LOG) this.#takeSecret(call);
    else if (call.name === WRITE) this.#takePiece(call, "sent", call.cpu.RAX, call.cpu.RBX, call.cpu.RCX);
    else {
      this.#goroutines.get(call, call.cpu.R14).connection = call.cpu.RAX;
      if (!this.#returns.has(call)) this.#watchReturns(call);
    }
  }

  #takeSecret(call: FunctionCall): void {
    const { RBX: name, RCX: nameSize, RDI: client, RSI: clientSize, R9: value, R10: size } = call.cpu;
    if (nameSize > LONGEST_LABEL || clientSize !== BigInt(RANDOM_SIZE) || size === 0n || size > LONGEST_SECRET) return;
    const text = call.findBytes(name, Number(nameSize));
    const label = text && toText(text);
    const random = call.findBytes(client, RANDOM_SIZE);
    const secret = call.findBytes(value, Number(size));
    if (label !== undefined && isKeyLogLabel(label) && random && secret) {
      this.listener.onSecret({ label, random, secret });
    }
  }

  /**
   * Watches the instructions by which decrypt() returns: what it has decrypted is in registers there, wherever the goroutine's stack
   * has been moved meanwhile. A byte of that value within another instruction is no instruction, and nothing begins there.
   */
  #watchReturns(call: FunctionCall): void {
    const { pgd, module } = call;
    const found = getSymbolList(pgd, DECRYPT).find((one) => one.name === DECRYPT && one.module === module);
    const size = Math.min(found?.size ?? 0, LARGEST_FUNCTION);
    const code = found && size > 0 ? call.findBytes(found.address, size) : undefined;
    const handlers = { onEnter: (end: FunctionCall) => this.#takeReceived(end) };
    const places = [...(code ?? [])].flatMap((byte, offset) =>
      byte === RETURN ? [{ address: found!.address + BigInt(offset), handlers, types: { parameters: [] } }] : [],
    );
    this.#returns.set(call, places.length > MOST_RETURNS ? [] : places);
  }

  /** What decrypt() returns: a slice, the record's type, and an error, which is empty. */
  #takeReceived(call: FunctionCall): void {
    const { RAX: data, RBX: size, RDI: type, RSI: error, R14: goroutine } = call.cpu;
    if (error !== 0n || (type & 0xffn) !== APPLICATION_DATA) return;
    const connection = this.#goroutines.find(call, goroutine)?.connection;
    if (connection !== undefined) this.#takePiece(call, "received", connection, data, size);
  }

  #takePiece(call: FunctionCall, direction: "sent" | "received", connection: bigint, data: bigint, size: bigint): void {
    if (size === 0n) return;
    const bytes = call.findBytes(data, size < BigInt(LONGEST_PIECE) ? Number(size) : LONGEST_PIECE);
    const { pid, tid, pgd } = call;
    if (bytes === undefined) return;
    this.listener.onPiece({ pid, tid, pgd, library: "Go", direction, connection, descriptor: undefined, bytes });
  }
}

/**
 * Reports whether a function goes on behind its first instructions: they compare the stack pointer, or one further down, with the
 * end of the goroutine's stack, and where that is too near, get more stack and begin anew.
 */
function isEntered(call: FunctionCall): boolean {
  const code = call.findBytes(call.address, 12);
  if (code === undefined) return true;
  const view = new DataView(code.buffer, code.byteOffset, code.length);
  const start = view.getUint32(0);
  let needed: bigint | undefined;
  // cmp rsp, [r14+16]; lea r12, [rsp-size] with one byte or four.
  if (start === 0x493b6610) needed = 0n;
  else if (start === 0x4c8d6424) needed = BigInt(-view.getInt8(4));
  else if (start === 0x4c8da424) needed = BigInt(-view.getInt32(4, true));
  const guard = needed === undefined ? undefined : call.findPointer(call.cpu.R14 + STACK_GUARD);
  return guard === undefined || call.stackPointer - needed! > guard;
}
