/** What programs encrypt and decrypt with OpenSSL, and the secrets of their connections; for tls_plain. */
import {
  type FunctionCall,
  type FunctionDescription,
  type FunctionHook,
  hookFunction,
  type HookedProcess,
} from "rebox";
import { findClientRandom } from "./_tls_records";
import { describeSecret, readParameters, type TlsSecret } from "./_tls_secrets";

/** Bytes that a program gave to be encrypted, or got decrypted. */
export interface TlsPiece {
  readonly pid: number;
  readonly tid: number;
  readonly pgd: bigint;
  readonly direction: "sent" | "received";
  /** The address of the connection's SSL object in the program. */
  readonly connection: bigint;
  /** The descriptor of its socket, where the program gave it to OpenSSL. */
  readonly descriptor: number | undefined;
  readonly bytes: Uint8Array;
}

export interface TlsListener {
  onPiece(piece: TlsPiece): void;
  onSecret(secret: TlsSecret): void;
}

/** From 1.1.0 on. Those with _ex tell their count in memory (OpenSSL 3, ssl.h). */
const LIBRARY: Readonly<Record<string, FunctionDescription>> = {
  SSL_write: { parameters: ["pointer", { bytes: "result" }, "int"], returns: "int" },
  SSL_read: { parameters: ["pointer", { bytes: "result" }, "int"], returns: "int" },
  SSL_write_ex: { parameters: ["pointer", "pointer", "size", "pointer"], returns: "int" },
  SSL_write_ex2: { parameters: ["pointer", "pointer", "size", "ulonglong", "pointer"], returns: "int" },
  SSL_read_ex: { parameters: ["pointer", "pointer", "size", "pointer"], returns: "int" },
  SSL_do_handshake: { parameters: ["pointer"], returns: "int" },
  SSL_connect: { parameters: ["pointer"], returns: "int" },
  SSL_accept: { parameters: ["pointer"], returns: "int" },
  SSL_set_fd: { parameters: ["pointer", "int"], returns: "int" },
  SSL_free: { parameters: ["pointer"], returns: "void" },
};
/** What libssl calls to send and receive records, and to derive secrets. */
const CRYPTO: Readonly<Record<string, FunctionDescription>> = {
  BIO_write: { parameters: ["pointer", "pointer", "int"], returns: "int" },
  BIO_read: { parameters: ["pointer", "pointer", "int"], returns: "int" },
  EVP_KDF_derive: { parameters: ["pointer", "pointer", "size", "pointer"], returns: "int" },
};
/** A handshake's record is not longer, and neither is what is read of a piece at once. */
const LONGEST_PIECE = 1 << 16;
const LONGEST_SECRET = 64;
const RANDOM_SIZE = 32;
/** Connections that are remembered; programs that never free theirs make more. */
const MOST_CONNECTIONS = 10_000;

interface Connection {
  descriptor?: number;
  clientRandom?: Uint8Array;
}

/** Follows OpenSSL in the processes that use it, those that load it later included. */
export class OpenSslWatcher {
  readonly #hooks: FunctionHook[];
  readonly #connections = new Map<string, Connection>();
  /** By thread: the connection that it works at. */
  readonly #current = new Map<number, string>();

  /** @param isWanted says of each process whether it is followed */
  constructor(
    private readonly listener: TlsListener,
    isWanted: (process: HookedProcess) => boolean,
  ) {
    const handlers = {
      onEnter: (call: FunctionCall) => this.#enter(call),
      onLeave: (call: FunctionCall) => this.#leave(call),
    };
    const options = { process: isWanted, fromOutside: true };
    this.#hooks = [
      hookFunction("libssl.so*", "SSL_*", handlers, { ...options, describe: (name) => LIBRARY[name] }),
      ...["BIO_*", "EVP_KDF_*"].map((name) =>
        hookFunction("libcrypto.so*", name, handlers, { ...options, describe: (found) => CRYPTO[found] }),
      ),
    ];
  }

  remove(): void {
    for (const hook of this.#hooks) hook.remove();
  }

  #enter(call: FunctionCall): void {
    if (!(call.name in LIBRARY)) return;
    const key = keyOf(call);
    this.#current.set(call.tid, key);
    if (call.name === "SSL_set_fd") this.#get(key).descriptor = Number(call.args[1]);
  }

  #leave(call: FunctionCall): void {
    if (call.name in LIBRARY) {
      if (call.abandoned === undefined) this.#take(call);
      if (call.name === "SSL_free") this.#connections.delete(keyOf(call));
      this.#current.delete(call.tid);
      return;
    }
    const key = this.#current.get(call.tid);
    if (key === undefined || call.abandoned !== undefined) return;
    if (call.name === "EVP_KDF_derive") this.#takeSecret(call, this.#get(key));
    else this.#takeRecord(call, this.#get(key));
  }

  #get(key: string): Connection {
    let found = this.#connections.get(key);
    if (found === undefined) {
      const [oldest] = this.#connections.keys();
      if (this.#connections.size >= MOST_CONNECTIONS && oldest !== undefined) this.#connections.delete(oldest);
      this.#connections.set(key, (found = {}));
    }
    return found;
  }

  #take(call: FunctionCall): void {
    const { name, pid, tid, pgd } = call;
    const isRead = name.startsWith("SSL_read");
    if (!isRead && !name.startsWith("SSL_write")) return;
    const bytes = name.includes("_ex") ? readCounted(call) : call.args[1];
    if (!(bytes instanceof Uint8Array) || bytes.length === 0) return;
    this.listener.onPiece({
      ...{ pid, tid, pgd, direction: isRead ? "received" : "sent", connection: call.rawArgs[0] as bigint },
      ...{ descriptor: this.#connections.get(keyOf(call))?.descriptor, bytes },
    });
  }

  /** The first record of a connection says its name: the client's random bytes. */
  #takeRecord(call: FunctionCall, connection: Connection): void {
    const size = Math.min(Number(call.result), LONGEST_PIECE);
    if (connection.clientRandom !== undefined || !(size > 0)) return;
    const bytes = call.findBytes(call.rawArgs[1] as bigint, size);
    const random = bytes && findClientRandom(bytes);
    if (random) connection.clientRandom = random;
  }

  #takeSecret(call: FunctionCall, { clientRandom }: Connection): void {
    const size = Number(call.args[2]);
    if (call.result !== 1 || !(size > 0 && size <= 4 * LONGEST_SECRET)) return;
    const output = call.findBytes(call.rawArgs[1] as bigint, size);
    const parameters = readParameters(call, call.rawArgs[3] as bigint);
    const secret = output && describeSecret(parameters, output, clientRandom);
    if (secret && secret.random.length === RANDOM_SIZE) this.listener.onSecret(secret);
  }
}

/** The number of bytes is where the last argument points to, and counts only if the call succeeded. */
function readCounted(call: FunctionCall): Uint8Array | undefined {
  const place = call.rawArgs[call.name === "SSL_write_ex2" ? 4 : 3];
  const count = call.result === 1 && place !== undefined ? call.findPointer(place) : undefined;
  if (count === undefined || count === 0n) return undefined;
  const size = count < BigInt(LONGEST_PIECE) ? Number(count) : LONGEST_PIECE;
  return call.findBytes(call.rawArgs[1] as bigint, size);
}

function keyOf(call: FunctionCall): string {
  return `${call.pgd} ${call.rawArgs[0]}`;
}
