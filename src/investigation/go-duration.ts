const UNITS_NS: Readonly<Record<string, number>> = {
  ...{ ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 },
};
const LARGEST_NS = 2 ** 63;

/**
 * Reads a duration as Go writes it: numbers with units, "1h15m", "-1.5s", "300ms"; "0" needs no unit.
 *
 * @returns nanoseconds
 * @throws RangeError for a text that is no duration
 */
export function parseDuration(text: string): number {
  const [, sign = "", rest = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === "0") return 0;
  const parts = [...rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy)];
  const length = parts.reduce((sum, [part]) => sum + part.length, 0);
  const sum = parts.reduce((total, [, count, unit]) => total + Number(count) * (UNITS_NS[unit as string] as number), 0);
  if (parts.length === 0 || length !== rest.length || sum >= LARGEST_NS) {
    throw new RangeError(`'${text}' is no duration: write numbers with units, as "5s", "1h30m" or "250ms"`);
  }
  return sign === "-" ? -sum : sum;
}

/** Writes a duration as Go does: "0s", "1.5µs", "2.25ms", "1h0m5s". */
export function formatDuration(ns: number): string {
  const size = Math.round(Math.abs(ns));
  const sign = ns < 0 && size > 0 ? "-" : "";
  if (size === 0) return "0s";
  const unit = (["ns", "µs", "ms"] as const).find((name) => size < 1000 * (UNITS_NS[name] as number));
  if (unit) return `${sign}${size / (UNITS_NS[unit] as number)}${unit}`;
  const seconds = BigInt(size) / 1_000_000_000n;
  const [hours, minutes] = [seconds / 3600n, (seconds / 60n) % 60n];
  const fraction = String(BigInt(size) % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const rest = `${seconds % 60n}${fraction === "" ? "" : `.${fraction}`}s`;
  return sign + (hours > 0n ? `${hours}h${minutes}m` : minutes > 0n ? `${minutes}m` : "") + rest;
}
