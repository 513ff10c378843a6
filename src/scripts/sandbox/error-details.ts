/** What rebox's errors say besides their text. Other members of errors stay on this side. */
const DETAILS = [
  ...["address", "pgd", "code"],
  // AttachError, KernelDataError and AddressError, MissingSymbolError, MissingTypeError
  ...["step", "evidence", "advice", "isEarly", "what", "symbol", "struct", "member", "origin"],
  // VolatilityError
  ...["reason", "output"],
];

/** Lists the members of an error that a script in the sandbox is told. */
export function listErrorDetails(error: Error): Record<string, unknown> {
  const given = error as unknown as Record<string, unknown>;
  const isPlain = (value: unknown) => value !== undefined && typeof value !== "object" && typeof value !== "function";
  return Object.fromEntries(DETAILS.map((name) => [name, given[name]]).filter(([, value]) => isPlain(value)));
}
