/** Of os.FileMode: how Go prints modes and times, which these results are known in. */
const KINDS: Readonly<Record<number, string>> = {
  0x1000: "p",
  0x2000: "Dc",
  0x4000: "d",
  0x6000: "D",
  0xa000: "L",
  0xc000: "S",
};
/** Set-user-id, set-group-id and sticky, with Go's letters in Go's order. */
const BITS = [
  [0o4000, "u"],
  [0o2000, "g"],
] as const;
const STICKY = 0o1000;

/** Prints a mode as Go does: "-rw-r--r--", "urwxr-xr-x", "dtrwxrwxrwx". */
export function printMode(mode: number): string {
  const kind = KINDS[mode & 0xf000] ?? "";
  const special = BITS.map(([bit, letter]) => ((mode & bit) !== 0 ? letter : "")).join("");
  const sticky = (mode & STICKY) !== 0 ? "t" : "";
  // Go has the letters in the order dalTLDpSugct: a character device's c comes behind u and g.
  const letters = kind === "Dc" ? `D${special}c${sticky}` : `${kind}${special}${sticky}`;
  const rights = [..."rwxrwxrwx"].map((letter, index) => ((mode & (1 << (8 - index))) !== 0 ? letter : "-"));
  return `${letters || "-"}${rights.join("")}`;
}

/** Prints a time as Go does, in UTC: "2026-01-02 03:04:05.678 +0000 UTC". */
export function printTime(ns: bigint): string {
  const seconds = BigInt.asIntN(64, ns - (((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n;
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return `${seconds} s since 1970`;
  const fraction = (ns - seconds * 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  const [day, time] = date.toISOString().split("T") as [string, string];
  return `${day} ${time.slice(0, 8)}${fraction === "" ? "" : `.${fraction}`} +0000 UTC`;
}
