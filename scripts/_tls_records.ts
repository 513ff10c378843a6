/** Reads the beginning of TLS connections (RFC 8446, 4.1.2 and 5.1; RFC 5246, 7.4.1.2); for tls_plain. */

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const RANDOM_SIZE = 32;

/**
 * Finds the client's random bytes in a record, or in its content alone: who receives one reads the header first.
 *
 * @returns undefined for anything but a ClientHello
 */
export function findClientRandom(bytes: Uint8Array): Uint8Array | undefined {
  const isWhole = bytes[0] === HANDSHAKE && bytes[1] === 3;
  const at = isWhole ? RECORD_HEADER : 0;
  // Type 1, a length of three bytes, a version of two: 3.1 to 3.3 in all versions of TLS.
  if (bytes[at] !== CLIENT_HELLO || bytes[at + 4] !== 3 || bytes.length < at + 6 + RANDOM_SIZE) return undefined;
  const length = ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  if (length < 2 + RANDOM_SIZE + 1 || length > 1 << 16) return undefined;
  return bytes.slice(at + 6, at + 6 + RANDOM_SIZE);
}
