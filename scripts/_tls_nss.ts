/** What programs encrypt and decrypt with NSS, and the secrets of their connections; for tls_plain. */
import { type FunctionCall, type FunctionDescription, type FunctionHook, hookFunction } from "rebox";
import { TlsConnections } from "./_tls_connections";
import type { TlsListener } from "./_tls_listener";
import { NssSecrets } from "./_tls_nss_secrets";

/** NSPR's prio.h; the result is the number of bytes, or -1. */
const SENT: FunctionDescription = { parameters: ["pointer", { bytes: "result" }, "int"], returns: "int" };
const FILES: Readonly<Record<string, FunctionDescription>> = {
  PR_Write: SENT,
  PR_Send: SENT,
  PR_Read: SENT,
  PR_Recv: SENT,
  PR_Close: { parameters: ["pointer"], returns: "int" },
};
/** NSS' ssl.h: it returns the file that it was given second, which is one of TLS from then on. */
const IMPORT: FunctionDescription = { parameters: ["pointer", "pointer"], returns: "pointer" };

/** Follows NSS in the processes that use it: its connections are files of NSPR, read and written by NSPR's functions. */
export class NssWatcher {
  readonly #hooks: FunctionHook[];
  readonly #connections = new TlsConnections<object>(() => ({}));
  readonly #secrets: NssSecrets;

  constructor(private readonly listener: TlsListener) {
    const files = { fromOutside: true, describe: (name: string) => FILES[name] };
    this.#secrets = new NssSecrets(listener);
    this.#hooks = [
      // Both of them: SSL_ImportFD() and DTLS_ImportFD().
      hookFunction("libssl3.so*", "*_ImportFD", { onLeave: (call) => this.#note(call) }, IMPORT),
      hookFunction("libnspr4.so*", "PR_*", { onLeave: (call) => this.#leave(call) }, files),
    ];
  }

  remove(): void {
    for (const hook of this.#hooks) hook.remove();
    this.#secrets.remove();
  }

  #note(call: FunctionCall): void {
    if (typeof call.result === "bigint" && call.result !== 0n) this.#connections.get(call, call.result);
  }

  #leave(call: FunctionCall): void {
    const [connection] = call.rawArgs;
    if (connection === undefined || this.#connections.find(call, connection) === undefined) return;
    if (call.name === "PR_Close") return this.#connections.delete(call, connection);
    const bytes = call.abandoned === undefined ? call.args[1] : undefined;
    if (!(bytes instanceof Uint8Array) || bytes.length === 0) return;
    const { pid, tid, pgd } = call;
    const direction = call.name === "PR_Read" || call.name === "PR_Recv" ? "received" : "sent";
    this.listener.onPiece({ pid, tid, pgd, library: "NSS", direction, connection, descriptor: undefined, bytes });
  }
}
