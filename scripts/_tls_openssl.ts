/** What programs encrypt and decrypt with OpenSSL, and the secrets of their connections; for tls_plain. */
import { type FunctionCall, type FunctionDescription, type FunctionHook, hookFunction } from "rebox";
import { RecentMap } from "./_recent_map";
import { MOST_THREADS, TlsConnections } from "./_tls_connections";
import { LONGEST_PIECE, RANDOM_SIZE, type TlsListener } from "./_tls_listener";
import { describeSecret, readParameters } from "./_tls_openssl_secrets";
import { findClientRandom } from "./_tls_records";

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
/** The header of a record, and of a ClientHello what is read of it (RFC 8446, 5.1 and 4.1.2). */
const HELLO_START = 64;
const HANDSHAKE = 22;
const LONGEST_SECRET = 64;

interface Connection {
  descriptor?: number;
  clientRandom?: Uint8Array;
}

/** Follows OpenSSL in the processes that use it, those that load it later included. */
export class OpenSslWatcher {
  readonly #hooks: FunctionHook[];
  readonly #connections = new TlsConnections<Connection>(() => ({}));
  /** By thread: the connection that it works at. */
  readonly #current = new RecentMap<number, bigint>(MOST_THREADS);

  constructor(private readonly listener: TlsListener) {
    const handlers = {
      onEnter: (call: FunctionCall) => this.#enter(call),
      onLeave: (call: FunctionCall) => this.#leave(call),
    };
    this.#hooks = [
      hookFunction("libssl.so*", "SSL_*", handlers, { fromOutside: true, describe: (name) => LIBRARY[name] }),
      ...["BIO_*", "EVP_KDF_*"].map((name) =>
        hookFunction("libcrypto.so*", name, handlers, { fromOutside: true, describe: (found) => CRYPTO[found] }),
      ),
    ];
  }

  remove(): void {
    for (const hook of this.#hooks) hook.remove();
  }

  #enter(call: FunctionCall): void {
    const [connection] = call.rawArgs;
    if (!(call.name in LIBRARY) || connection === undefined) return;
    this.#current.set(call.tid, connection);
    if (call.name === "SSL_set_fd") this.#connections.get(call, connection).descriptor = Number(call.args[1]);
  }

  #leave(call: FunctionCall): void {
    if (call.name in LIBRARY) {
      const [connection] = call.rawArgs;
      if (call.abandoned === undefined) this.#take(call);
      if (call.name === "SSL_free" && connection !== undefined) this.#connections.delete(call, connection);
      this.#current.delete(call.tid);
      return;
    }
    const current = this.#current.get(call.tid);
    if (current === undefined || call.abandoned !== undefined) return;
    const connection = this.#connections.get(call, current);
    if (call.name === "EVP_KDF_derive") this.#takeSecret(call, connection);
    else this.#takeRecord(call, connection);
  }

  #take(call: FunctionCall): void {
    const { name, pid, tid, pgd } = call;
    const connection = call.rawArgs[0] as bigint;
    const isRead = name.startsWith("SSL_read");
    if (!isRead && !name.startsWith("SSL_write")) return;
    const bytes = name.includes("_ex") ? readCounted(call) : call.args[1];
    if (!(bytes instanceof Uint8Array) || bytes.length === 0) return;
    this.listener.onPiece({
      ...{ pid, tid, pgd, library: "OpenSSL", direction: isRead ? "received" : "sent", connection },
      ...{ descriptor: this.#connections.find(call, connection)?.descriptor, bytes },
    });
  }

  /** The first record of a connection says its name: the client's random bytes. */
  #takeRecord(call: FunctionCall, connection: Connection): void {
    const size = Math.min(Number(call.result), HELLO_START);
    if (!(size > 0)) return;
    const bytes = call.findBytes(call.rawArgs[1] as bigint, size);
    // An object may be used for another connection. Encrypted content alone could look like its beginning by chance.
    if (connection.clientRandom !== undefined && bytes?.[0] !== HANDSHAKE) return;
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
