/** A name that was asked for by DNS. */
export interface NameQuestion {
  readonly name: string;
  /** "A", "AAAA", "MX" ...; the number of a type that has no usual name: "TYPE65". */
  readonly type: string;
  /** The first that was seen to ask, as "wget (512)". */
  process: string | undefined;
  /** ISO 8601, UTC. */
  readonly began: string;
  /** The number of questions. */
  count: number;
}

/** The types of IANA's registry (DNS Parameters) that programs ask for. */
const TYPES: Readonly<Record<number, string>> = {
  ...{ 1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 35: "NAPTR" },
  ...{ 43: "DS", 48: "DNSKEY", 64: "SVCB", 65: "HTTPS", 255: "ANY", 257: "CAA" },
};
const HEAD = 12;
/** Of the flags: the message is an answer. */
const ANSWER = 0x8000;
const MOST_LABELS = 127;

/** Finds the first question of a message of DNS that is none itself an answer: RFC 1035, section 4.1. */
export function findQuestion(message: Buffer): { readonly name: string; readonly type: string } | undefined {
  if (message.length < HEAD || (message.readUInt16BE(2) & ANSWER) !== 0) return undefined;
  const labels: string[] = [];
  let at = HEAD;
  for (;;) {
    const size = message[at];
    if (size === undefined || size > 63 || at + 1 + size > message.length || labels.length > MOST_LABELS)
      return undefined;
    at += 1 + size;
    if (size === 0) break;
    labels.push(message.toString("latin1", at - size, at));
  }
  if (labels.length === 0 || at + 2 > message.length) return undefined;
  const type = message.readUInt16BE(at);
  return { name: labels.join("."), type: TYPES[type] ?? `TYPE${type}` };
}
