import { connect } from "node:net";
import { createSecureContext, createServer, type SecureContext, type TLSSocket } from "node:tls";
import type { CertificateAuthority } from "./certificate-authority";
import { ADDRESSES } from "./simulated-addresses";

const HTTPS_PORT = 443;
const HTTP_PORT = 80;
/** The guest may ask for any number of names; each costs a process of openssl. */
const MOST_NAMES = 200;
const MOST_CONNECTIONS = 256;

/**
 * Serves HTTPS: each name gets a certificate of its own, which the lab's authority signs, and what the guest asks is INetSim's to
 * answer, as if it had come by HTTP.
 *
 * @param getTimeMs returns the guest's time
 * @param onName receives each name that a client asks for, once
 */
export async function serveHttps(
  authority: CertificateAuthority,
  getTimeMs: () => number,
  onName: (name: string) => void,
): Promise<void> {
  const addresses = [ADDRESSES.named, ADDRESSES.gateway];
  const fallback = await authority.sign(undefined, addresses, getTimeMs());
  const contexts = new Map<string, Promise<SecureContext>>();
  const getContext = async (name: string): Promise<SecureContext> => {
    const known = contexts.get(name);
    if (known !== undefined) return known;
    if (contexts.size >= MOST_NAMES) return createSecureContext(fallback);
    onName(name);
    const made = authority.sign(name, addresses, getTimeMs()).then(createSecureContext);
    contexts.set(name, made);
    return made;
  };
  const server = createServer({
    ...fallback,
    // Old clients are what samples are made of.
    ...{ minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" },
    SNICallback: (name, settle) => {
      getContext(name).then(
        (context) => settle(null, context),
        (error: unknown) => settle(error as Error),
      );
    },
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.on("secureConnection", forward);
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(HTTPS_PORT, ADDRESSES.gateway, resolve);
  });
}

function forward(client: TLSSocket): void {
  const upstream = connect(HTTP_PORT, ADDRESSES.gateway);
  client.on("error", () => upstream.destroy());
  upstream.on("error", () => client.destroy());
  client.on("close", () => upstream.destroy());
  client.pipe(upstream).pipe(client);
}
