/** The secrets of TLS connections as OpenSSL 3 derives them; for tls_plain. */
import type { FunctionCall } from "rebox";
import {
  findKeyLogLabel,
  KEY_EXPANSION,
  MASTER_LABEL,
  MASTER_SIZE,
  RANDOM_SIZE,
  type TlsSecret,
  toText,
} from "./_tls_listener";

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
  const label = findKeyLogLabel(toText(find("label") ?? new Uint8Array()));
  if (label !== undefined) return clientRandom && { label, random: clientRandom, secret: output };
  const [first, , client] = parameters.filter(({ name }) => name === "seed").map(({ bytes }) => bytes);
  const master = find("secret");
  if (!first || toText(first) !== KEY_EXPANSION || client?.length !== RANDOM_SIZE || master?.length !== MASTER_SIZE) {
    return undefined;
  }
  return { label: MASTER_LABEL, random: client, secret: master };
}
