/** Reads the beginning of TLS connections (RFC 8446, 4.1.2, 4.4.1 and 5.1; RFC 5246, 7.4.1.2); for tls_plain. */

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_HELLO = 2;
/** Takes the place of the first ClientHello when the server has asked for another one, which has the same random bytes. */
const MESSAGE_HASH = 254;
const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
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
  const length = readLength(bytes, at);
  if (length < 2 + RANDOM_SIZE + 1 || length > 1 << 16) return undefined;
  return bytes.slice(at + 6, at + 6 + RANDOM_SIZE);
}

/**
 * Finds the client's random bytes in the messages of a handshake, one behind the other without headers of records.
 *
 * @param bytes the beginning of them
 * @returns undefined when they do not begin as those of a handshake
 */
export function findTranscriptRandom(bytes: Uint8Array): Uint8Array | undefined {
  let at = 0;
  // A HelloRetryRequest is a ServerHello.
  for (const type of [MESSAGE_HASH, SERVER_HELLO]) {
    if (bytes[at] === type) at += MESSAGE_HEADER + readLength(bytes, at);
  }
  return findClientRandom(bytes.subarray(at));
}

/** Reads the length of a message, which is behind its type. */
function readLength(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
