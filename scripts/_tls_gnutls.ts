/** What programs encrypt and decrypt with GnuTLS, and the secrets of their connections; for tls_plain. */
import { type FunctionCall, type FunctionDescription, type FunctionHook, hookFunction } from "rebox";
import { RecentMap } from "./_recent_map";
import { MOST_THREADS, TlsConnections } from "./_tls_connections";
import {
  findExpandedLabel,
  KEY_EXPANSION,
  LONGEST_PIECE,
  MASTER_LABEL,
  MASTER_SIZE,
  RANDOM_SIZE,
  type TlsListener,
  toText,
} from "./_tls_listener";
import { findTranscriptRandom } from "./_tls_records";

/** Of gnutls.h; the result is the number of bytes, or an error below 0. */
const RECORDS: Readonly<Record<string, FunctionDescription>> = {
  gnutls_record_send: { parameters: ["pointer", "pointer", "size"], returns: "ssize" },
  gnutls_record_send2: { parameters: ["pointer", "pointer", "size", "size", "uint"], returns: "ssize" },
  gnutls_record_send_range: { parameters: ["pointer", "pointer", "size", "pointer"], returns: "ssize" },
  gnutls_record_recv: { parameters: ["pointer", "pointer", "size"], returns: "ssize" },
  gnutls_record_recv_seq: { parameters: ["pointer", "pointer", "size", "pointer"], returns: "ssize" },
  gnutls_transport_set_ptr: { parameters: ["pointer", "pointer"], returns: "void" },
  gnutls_transport_set_int2: { parameters: ["pointer", "int", "int"], returns: "void" },
  gnutls_deinit: { parameters: ["pointer"], returns: "void" },
};
/** What the library calls of its own: lib/secrets.c hashes the messages and then expands; lib/prf.c makes the keys of TLS 1.2. */
const INSIDE: Readonly<Record<string, FunctionDescription>> = {
  gnutls_hash_fast: { parameters: ["int", "pointer", "size", "pointer"], returns: "int" },
  _gnutls_prf_raw: {
    parameters: ["int", "size", "pointer", "size", "pointer", "size", "pointer", "size", "pointer"],
    returns: "int",
  },
};
/** nettle's hkdf.h: the context, two functions, the digest's size, the info with its size, and the output with its size. */
const EXPAND: FunctionDescription = {
  parameters: ["pointer", "pointer", "pointer", "size", "size", "pointer", "size", "pointer"],
  returns: "void",
};
/** GNUTLS_E_AGAIN and GNUTLS_E_INTERRUPTED: the same bytes are asked for again, or none, which stands for them. */
const AGAIN: readonly bigint[] = [-28n, -52n];
/** Programs that send with functions of their own set an address of theirs in place of a descriptor. */
const MOST_DESCRIPTORS = 1n << 20n;
/** A ClientHello begins with what is looked for, behind a HelloRetryRequest at most. */
const LONGEST_BEGINNING = 4096;
const LONGEST_INFO = 256;
const LONGEST_SECRET = 64;

interface Connection {
  descriptor?: number;
  /** Bytes that the library has taken and not said to have sent. */
  pending?: Uint8Array;
}

/** Follows GnuTLS, from 3.6 on, in the processes that use it. */
export class GnuTlsWatcher {
  readonly #hooks: FunctionHook[];
  readonly #connections = new TlsConnections<Connection>(() => ({}));
  /** By thread: the client's random bytes out of the messages that it has hashed last. */
  readonly #randoms = new RecentMap<number, Uint8Array>(MOST_THREADS);

  constructor(private readonly listener: TlsListener) {
    const inside = {
      onEnter: (call: FunctionCall) =>
        call.name === "gnutls_hash_fast" ? this.#noteHash(call) : this.#takeMaster(call),
    };
    const plain = { onLeave: (call: FunctionCall) => this.#leave(call) };
    const expand = { onLeave: (call: FunctionCall) => this.#takeExpanded(call) };
    this.#hooks = [
      hookFunction("libgnutls.so*", "gnutls_*", plain, { fromOutside: true, describe: (name) => RECORDS[name] }),
      hookFunction("libgnutls.so*", "*gnutls_*", inside, { describe: (name) => INSIDE[name] }),
      hookFunction("libnettle.so*", "nettle_hkdf_expan*", expand, { ...EXPAND, fromOutside: true }),
    ];
  }

  remove(): void {
    for (const hook of this.#hooks) hook.remove();
  }

  #leave(call: FunctionCall): void {
    const { name, abandoned } = call;
    const [session, second] = call.rawArgs;
    if (session === undefined) return;
    if (name === "gnutls_deinit") this.#connections.delete(call, session);
    else if (name.startsWith("gnutls_transport_")) this.#noteDescriptor(call, session);
    else if (abandoned === undefined && second !== undefined) this.#takePiece(call, session, second);
  }

  #noteDescriptor(call: FunctionCall, session: bigint): void {
    const value = BigInt(call.args[1] as number | bigint);
    if (value >= 0n && value < MOST_DESCRIPTORS) this.#connections.get(call, session).descriptor = Number(value);
  }

  #takePiece(call: FunctionCall, session: bigint, data: bigint): void {
    const result = call.result as bigint;
    const isReceived = call.name.startsWith("gnutls_record_recv");
    const connection = this.#connections.get(call, session);
    if (!isReceived && AGAIN.includes(result) && data !== 0n) {
      const given = readBytes(call, data, call.rawArgs[2] ?? 0n);
      if (given) connection.pending = given;
      return;
    }
    if (result <= 0n) return;
    const pending = connection.pending?.subarray(0, Number(result));
    const bytes = !isReceived && data === 0n ? pending : readBytes(call, data, result);
    if (!isReceived) delete connection.pending;
    if (bytes === undefined || bytes.length === 0) return;
    const { pid, tid, pgd } = call;
    this.listener.onPiece({
      ...{ pid, tid, pgd, library: "GnuTLS", direction: isReceived ? "received" : "sent", connection: session },
      ...{ descriptor: connection.descriptor, bytes },
    });
  }

  /** What TLS 1.3 derives depends on all messages until then, which begin with the ClientHello: they are hashed just before. */
  #noteHash(call: FunctionCall): void {
    const [, text, size] = call.rawArgs;
    const bytes = readBytes(call, text ?? 0n, size ?? 0n, LONGEST_BEGINNING);
    const random = bytes && findTranscriptRandom(bytes);
    if (random) this.#randoms.set(call.tid, random);
    else this.#randoms.delete(call.tid);
  }

  #takeExpanded(call: FunctionCall): void {
    const [, , , , infoSize = 0n, info = 0n, size = 0n, output = 0n] = call.rawArgs;
    if (call.abandoned !== undefined || infoSize > BigInt(LONGEST_INFO) || size > BigInt(LONGEST_SECRET)) return;
    const described = readBytes(call, info, infoSize);
    const label = described && findExpandedLabel(described, Number(size));
    if (label === undefined) return;
    const random = this.#randoms.get(call.tid);
    const secret = readBytes(call, output, size);
    if (random && secret) this.listener.onSecret({ label, random, secret });
  }

  #takeMaster(call: FunctionCall): void {
    const [, masterSize, master = 0n, labelSize, label = 0n, seedSize, seed = 0n] = call.rawArgs;
    const isKeys = labelSize === BigInt(KEY_EXPANSION.length) && seedSize === BigInt(2 * RANDOM_SIZE);
    if (!isKeys || masterSize !== BigInt(MASTER_SIZE)) return;
    const name = call.findBytes(label, KEY_EXPANSION.length);
    if (name === undefined || toText(name) !== KEY_EXPANSION) return;
    const random = call.findBytes(seed + BigInt(RANDOM_SIZE), RANDOM_SIZE);
    const secret = call.findBytes(master, MASTER_SIZE);
    if (random && secret) this.listener.onSecret({ label: MASTER_LABEL, random, secret });
  }
}

/** Reads bytes of a program, of more than `most` the first ones. */
function readBytes(call: FunctionCall, address: bigint, size: bigint, most = LONGEST_PIECE): Uint8Array | undefined {
  if (address === 0n || size <= 0n) return undefined;
  return call.findBytes(address, size < BigInt(most) ? Number(size) : most);
}
