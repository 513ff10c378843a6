/** Writes an IPv4 address, 4 bytes in network order. */
export function formatIpv4(bytes: Uint8Array): string {
  return bytes.join(".");
}

/** Writes an IPv6 address, 16 bytes in network order, by RFC 5952: lower case, no leading zeros, the longest run of zeros as "::". */
export function formatIpv6(bytes: Buffer): string {
  if (bytes.subarray(0, 12).equals(Buffer.from("00000000000000000000ffff", "hex"))) {
    return `::ffff:${formatIpv4(bytes.subarray(12))}`;
  }
  const text = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(":");
  const runs = [...text.matchAll(/\b0(?::0)+\b/g)].toSorted((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  if (!longest) return text;
  const before = text.slice(0, longest.index).replace(/:$/, "");
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${before}::${after}`;
}
