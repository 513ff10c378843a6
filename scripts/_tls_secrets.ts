/** The secrets of TLS connections as OpenSSL 3 derives them, in the form of key logs; for tls_plain. */
import type { FunctionCall } from "rebox";

/** A line of a key log (NSS Key Log Format; draft-ietf-tls-keylogfile). */
export interface TlsSecret {
  readonly label: string;
  /** The client's random bytes, by which Wireshark finds the connection. */
  readonly random: Uint8Array;
  readonly secret: Uint8Array;
}

/** RFC 8446, 7.1: what is derived under which label, and what key logs call it. */
const LABELS: Readonly<Record<string, string>> = {
  "c e traffic": "CLIENT_EARLY_TRAFFIC_SECRET",
  "c hs traffic": "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
  "s hs traffic": "SERVER_HANDSHAKE_TRAFFIC_SECRET",
  "c ap traffic": "CLIENT_TRAFFIC_SECRET_0",
  "s ap traffic": "SERVER_TRAFFIC_SECRET_0",
  "exp master": "EXPORTER_SECRET",
};
/** RFC 5246, 6.3: the seed of the keys is this, then the server's random bytes, then the client's. */
const KEY_EXPANSION = "key expansion";
const RANDOM_SIZE = 32;
const MASTER_SIZE = 48;
const MOST_PARAMETERS = 32;
const LONGEST_NAME = 32;
const LONGEST_VALUE = 256;

/** A parameter that a program has given to OpenSSL. */
export interface OpenSslParameter {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Reads a list of parameters (OSSL_PARAM of OpenSSL 3, core.h): name, type, data, size and another size, the last without a name.
 *
 * @param address of the first one in the process
 */
export function readParameters(call: FunctionCall, address: bigint): OpenSslParameter[] {
  const isWide = call.bits === 64;
  const [dataAt, sizeAt, size] = isWide ? [16n, 24n, 40n] : [8n, 12n, 20n];
  const found: OpenSslParameter[] = [];
  for (let at = address; address !== 0n && found.length < MOST_PARAMETERS; at += size) {
    const name = call.findPointer(at);
    const data = call.findPointer(at + dataAt);
    const length = call.findPointer(at + sizeAt);
    if (!name || data === undefined || length === undefined || length > BigInt(LONGEST_VALUE)) break;
    const bytes = length === 0n ? new Uint8Array() : call.findBytes(data, Number(length));
    found.push({ name: call.findText(name, LONGEST_NAME) ?? "", bytes: bytes ?? new Uint8Array() });
  }
  return found;
}

/**
 * Tells what was derived: in TLS 1.3 a secret by its label, whose connection the client's random bytes name; in TLS 1.2 and
 * before the keys, out of the master secret and both sides' random bytes.
 *
 * @param clientRandom of the connection, where it is known
 * @returns undefined for what key logs do not have
 */
export function describeSecret(
  parameters: readonly OpenSslParameter[],
  output: Uint8Array,
  clientRandom: Uint8Array | undefined,
): TlsSecret | undefined {
  const find = (name: string) => parameters.find((one) => one.name === name)?.bytes;
  const label = LABELS[toText(find("label") ?? new Uint8Array())];
  if (label !== undefined) return clientRandom && { label, random: clientRandom, secret: output };
  const [first, , client] = parameters.filter(({ name }) => name === "seed").map(({ bytes }) => bytes);
  const master = find("secret");
  if (!first || toText(first) !== KEY_EXPANSION || client?.length !== RANDOM_SIZE || master?.length !== MASTER_SIZE) {
    return undefined;
  }
  return { label: "CLIENT_RANDOM", random: client, secret: master };
}

/** Writes a secret as a line of a key log. */
export function writeKeyLine({ label, random, secret }: TlsSecret): string {
  return `${label} ${toHex(random)} ${toHex(secret)}\n`;
}

function toText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
