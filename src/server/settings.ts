import { isIP } from "node:net";
import { ServerError } from "./errors";

/** Where a server listens. */
export type ListenPlace = { readonly host: string; readonly port: number } | { readonly path: string };

/** How a server is started. */
export interface ServerSettings {
  readonly listen: ListenPlace;
  /** Files with the certificate and the key, in PEM. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  /** A proxy in front of it says who asks, and takes care of TLS. */
  readonly isBehindProxy: boolean;
  /** Other hosts may reach it although nothing is encrypted. */
  readonly allowsPlainHttp: boolean;
  /** In bytes. */
  readonly largestUpload: number;
  /** Requests of a caller, or of an address without one, in a minute. */
  readonly requestsPerMinute: number;
  /** Networks of private addresses that webhooks may reach all the same: "10.0.0.0/8". */
  readonly webhookNetworks: readonly string[];
}

/** The address and port where nothing else is said. */
export const DEFAULT_LISTEN = "127.0.0.1:8700";

/**
 * Reads where a server is to listen: "ADDRESS:PORT", "[ADDRESS]:PORT", "PORT" or "unix:PATH".
 *
 * @throws ServerError for another text
 */
export function readListenPlace(text: string): ListenPlace {
  if (text.startsWith("unix:") && text.length > "unix:".length) return { path: text.slice("unix:".length) };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]:|([^:]+):)?(\d{1,5})$/.exec(text) ?? [];
  const [host, port] = [bracketed ?? plain ?? "127.0.0.1", Number(digits)];
  if (digits === undefined || port > 65_535 || (host !== "localhost" && isIP(host) === 0))
    throw new ServerError(`"${text}" is no place to listen: it must be ADDRESS:PORT, PORT or unix:PATH`);
  return { host, port };
}

/** @throws ServerError when other hosts could read passwords on their way */
export function checkExposure({
  listen,
  tls,
  isBehindProxy,
  allowsPlainHttp,
}: Pick<ServerSettings, "listen" | "tls" | "isBehindProxy" | "allowsPlainHttp">): void {
  // prettier-ignore
  if ("path" in listen || isLoopback(listen.host) || tls !== undefined || allowsPlainHttp) return;
  const proxy = isBehindProxy ? "a proxy on this host reaches 127.0.0.1 as well" : "use --tls-certificate and --tls-key, or a proxy in front of 127.0.0.1"; // prettier-ignore
  throw new ServerError(`on ${listen.host} others could read passwords on their way: ${proxy}; --plain-http permits it all the same`); // prettier-ignore
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}
