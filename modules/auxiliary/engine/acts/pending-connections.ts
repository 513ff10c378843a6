/** Follows connections that the kernel goes on making when connect(2) has returned. */
import { CallbackManager, findGuest } from "rebox";

// include/net/tcp_states.h
const TCP_ESTABLISHED = 1n;
const TCP_CLOSE = 7n;
/** EINPROGRESS: told of those that are not decided at the end, or cannot be followed. */
export const UNDECIDED = 115;
/** So many are followed at one moment. */
const MOST = 10_000;

/** Is called with undefined when the connection is made; else with the error, 0 when the program has given it up. */
export type ConnectionEnd = (error: number | undefined) => void;

/** The connections that are being made, by the address of their struct sock. The kernel is hooked only while there are any. */
export class PendingConnections {
  private readonly pending = new Map<bigint, ConnectionEnd>();
  private hook: string | undefined;

  constructor(private readonly callbacks: CallbackManager) {}

  /** Waits for the end of a connection. @returns false when this kernel does not show it */
  follow(sock: bigint, onEnd: ConnectionEnd): boolean {
    const addr = findGuest()?.kernel.findSymbol("tcp_set_state");
    if (addr === undefined || this.pending.size >= MOST) return false;
    this.pending.set(sock, onEnd);
    // net/ipv4/tcp.c: (sock, state); its error is set before it is closed.
    this.hook ??= this.callbacks.addCallback(
      CallbackManager.BLOCK_BEGIN_CB,
      (_index, cpu) => {
        const is64 = findGuest()?.kernel.bits === 64;
        this.onState(is64 ? cpu.RDI : cpu.EAX, BigInt.asUintN(32, is64 ? cpu.RSI : cpu.EDX));
      },
      { addr },
    );
    return true;
  }

  /** Tells those that are still being made, which are followed no more. */
  end(): void {
    const left = [...this.pending.values()];
    this.forget();
    for (const onEnd of left) onEnd(UNDECIDED);
  }

  /** The guest has started again, and its callbacks were removed. */
  forget(): void {
    this.pending.clear();
    this.hook = undefined;
  }

  private onState(sock: bigint, state: bigint): void {
    const onEnd = this.pending.get(sock);
    if (onEnd === undefined || (state !== TCP_ESTABLISHED && state !== TCP_CLOSE)) return;
    this.pending.delete(sock);
    onEnd(state === TCP_ESTABLISHED ? undefined : readError(sock));
    // Not now: a hook of another script at the same place would not be called.
    if (this.pending.size === 0) setImmediate(() => this.unhook());
  }

  private unhook(): void {
    if (this.pending.size > 0 || this.hook === undefined) return;
    if (this.callbacks.callbackExists(this.hook)) this.callbacks.rmCallback(this.hook);
    this.hook = undefined;
  }
}

/** Reads why a connection has failed out of its struct sock; 0 when that says nothing. */
export function readError(sock: bigint): number {
  try {
    return findGuest()?.kernel.at("sock", sock).number("sk_err") ?? 0;
  } catch {
    // The kernel's data is damaged.
    return 0;
  }
}
