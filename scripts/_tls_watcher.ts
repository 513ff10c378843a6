/** All TLS libraries that are known, watched in all processes; for tls_plain. */
import { GnuTlsWatcher } from "./_tls_gnutls";
import { GoTlsWatcher } from "./_tls_go";
import type { TlsListener } from "./_tls_listener";
import { NssWatcher } from "./_tls_nss";
import { OpenSslWatcher } from "./_tls_openssl";

/** Follows the TLS libraries in the processes that use them, those that load one later included. */
export class TlsWatcher {
  readonly #watchers: readonly { remove(): void }[];

  constructor(listener: TlsListener) {
    const watchers = [OpenSslWatcher, GnuTlsWatcher, NssWatcher, GoTlsWatcher];
    this.#watchers = watchers.map((Watcher) => new Watcher(listener));
  }

  remove(): void {
    for (const watcher of this.#watchers) watcher.remove();
  }
}
