import { FileFormat, getFileFormat } from "../../../systems/linux/files/file-mode";

/** The letters of Go's os.FileMode: these results are known by how Go prints modes and times. */
const LETTERS: Readonly<Record<number, string>> = {
  [FileFormat.pipe]: "p",
  [FileFormat.characterDevice]: "Dc",
  [FileFormat.directory]: "d",
  [FileFormat.blockDevice]: "D",
  [FileFormat.link]: "L",
  [FileFormat.socket]: "S",
};
/** Set-user-id, set-group-id and sticky, with Go's letters in Go's order. */
const BITS = [
  [0o4000, "u"],
  [0o2000, "g"],
] as const;
const STICKY = 0o1000;

/** Prints a mode as Go does: "-rw-r--r--", "urwxr-xr-x", "dtrwxrwxrwx". */
export function formatMode(mode: number): string {
  const kind = LETTERS[getFileFormat(mode)] ?? "";
  const special = BITS.map(([bit, letter]) => ((mode & bit) !== 0 ? letter : "")).join("");
  const sticky = (mode & STICKY) !== 0 ? "t" : "";
  // Go has the letters in the order dalTLDpSugct: a character device's c comes behind u and g.
  const letters = kind === "Dc" ? `D${special}c${sticky}` : `${kind}${special}${sticky}`;
  const rights = [..."rwxrwxrwx"].map((letter, index) => ((mode & (1 << (8 - index))) !== 0 ? letter : "-"));
  return `${letters || "-"}${rights.join("")}`;
}

/** Prints a time as Go does, in UTC: "2026-01-02 03:04:05.678 +0000 UTC". */
export function formatTime(ns: bigint): string {
  const seconds = BigInt.asIntN(64, ns - (((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n;
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return `${seconds} s since 1970`;
  const fraction = (ns - seconds * 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  const [day, time] = date.toISOString().split("T") as [string, string];
  return `${day} ${time.slice(0, 8)}${fraction === "" ? "" : `.${fraction}`} +0000 UTC`;
}
