import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";

/**
 * Makes the function by which a client of `node:https` connects to a server that is known by its certificate alone, whoever has signed it.
 * Nothing is sent to another one: what is written before the handshake has ended waits for it, and for its listeners.
 *
 * @param fingerprint of the certificate: SHA-256 as X509Certificate.fingerprint256 has it
 */
export function connectPinned(fingerprint: string): (options: object) => TLSSocket {
  return (options) => {
    const pinned: ConnectionOptions = { ...options, servername: "", rejectUnauthorized: false };
    // node:https has the path of the request there, which would be a socket's.
    const socket = connect({ ...pinned, path: undefined });
    socket.once("secureConnect", () => {
      if (socket.getPeerX509Certificate()?.fingerprint256 === fingerprint) return;
      socket.destroy(new Error("its certificate is not the one that it has told the cluster of"));
    });
    return socket;
  };
}
