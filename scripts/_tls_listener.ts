/** What every watcher of a TLS library tells: plain text, and secrets in the form of key logs; for tls_plain. */

/** Bytes that a program gave to be encrypted, or got decrypted. */
export interface TlsPiece {
  readonly pid: number;
  readonly tid: number;
  readonly pgd: bigint;
  readonly library: "OpenSSL" | "GnuTLS" | "NSS" | "Go";
  readonly direction: "sent" | "received";
  /** The address of the library's own object for the connection in the program. */
  readonly connection: bigint;
  /** The descriptor of its socket, where the program gave it to the library. */
  readonly descriptor: number | undefined;
  readonly bytes: Uint8Array;
}

/** A line of a key log (NSS Key Log Format; draft-ietf-tls-keylogfile). */
export interface TlsSecret {
  readonly label: string;
  /** The client's random bytes, by which Wireshark finds the connection. */
  readonly random: Uint8Array;
  readonly secret: Uint8Array;
}

export interface TlsListener {
  onPiece(piece: TlsPiece): void;
  onSecret(secret: TlsSecret): void;
}

/** No more is read of a piece at once, and no record of a handshake is longer. */
export const LONGEST_PIECE = 1 << 16;
export const RANDOM_SIZE = 32;
/** RFC 5246, 8.1. */
export const MASTER_SIZE = 48;
/** RFC 5246, 6.3: the seed of the keys is this, then the server's random bytes, then the client's. */
export const KEY_EXPANSION = "key expansion";
/** The master secret of TLS 1.2 in key logs. */
export const MASTER_LABEL = "CLIENT_RANDOM";

/** RFC 8446, 7.1: what is derived under which label, and what key logs call it. */
const LABELS: Readonly<Record<string, string>> = {
  "c e traffic": "CLIENT_EARLY_TRAFFIC_SECRET",
  "c hs traffic": "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
  "s hs traffic": "SERVER_HANDSHAKE_TRAFFIC_SECRET",
  "c ap traffic": "CLIENT_TRAFFIC_SECRET_0",
  "s ap traffic": "SERVER_TRAFFIC_SECRET_0",
  "exp master": "EXPORTER_SECRET",
};
const KEY_LOG_LABELS: ReadonlySet<string> = new Set([...Object.values(LABELS), MASTER_LABEL]);
const PREFIX = "tls13 ";
/** A label's length is a byte, before it are the length of the secret and that byte (RFC 8446, 7.1: HkdfLabel). */
const LABEL_AT = 3;

/** Finds what key logs call the secret that TLS 1.3 derives under a label; undefined for one that they do not have. */
export function findKeyLogLabel(label: string): string | undefined {
  return Object.hasOwn(LABELS, label) ? LABELS[label] : undefined;
}

/** Reports whether a text is a label of key logs. */
export function isKeyLogLabel(text: string): boolean {
  return KEY_LOG_LABELS.has(text);
}

/**
 * Finds what key logs call the secret that HKDF expands (RFC 8446, 7.1).
 *
 * @param info the bytes of an HkdfLabel: the secret's length, "tls13 " and the label, and the hash of the messages
 * @param size of the secret
 * @returns undefined for another one, and for anything else that HKDF is used for
 */
export function findExpandedLabel(info: Uint8Array, size: number): string | undefined {
  const length = info[2] ?? 0;
  if (info.length < LABEL_AT + length || (info[0]! << 8) + info[1]! !== size) return undefined;
  const label = toText(info.subarray(LABEL_AT, LABEL_AT + length));
  return label.startsWith(PREFIX) ? findKeyLogLabel(label.slice(PREFIX.length)) : undefined;
}

/** Writes a secret as a line of a key log. */
export function writeKeyLine({ label, random, secret }: TlsSecret): string {
  return `${label} ${toHex(random)} ${toHex(secret)}\n`;
}

/** Makes text of bytes, a character of each. */
export function toText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
