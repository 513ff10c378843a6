import { toPlainLine } from "../../../config/terminal-text";
import { REGISTER_ALIASES } from "../../../machine/state/cpu";
import { CommandError } from "../../errors";

/** The source of the names in an expression. */
export interface NameSource {
  /** Finds a register by its name in capitals. */
  findRegister(name: string): bigint | undefined;
  /** Finds a symbol; without a module in all modules. */
  findSymbol(module: string | undefined, name: string): bigint | undefined;
  findVariable(name: string): string | undefined;
}

/** The deepest chain of variables that lead to each other. */
const DEEPEST = 16;
const TERM =
  /^(?:\\d(?<decimal>\d+)|(?<hex>(?:0x)?[0-9a-f]+)(?![\w!.$])|@(?<register>\w+)|\$(?<variable>\w+)|(?<module>[^\s!:]+)!(?<member>[\w.$@]+)|(?<name>[A-Za-z_.][\w.$@]*))/i;

/**
 * Computes an address or number: terms joined by + and -. A term is a hexadecimal number ("1f", "0x1f"), a decimal one
 * ("\d31"), a register ("@rip", or "rip" where no number has that name), a symbol ("kernel!schedule", "schedule") or a
 * variable ("$name").
 *
 * @returns modulo 2 to the 64
 * @throws CommandError that names the part that means nothing
 */
export function evaluate(text: string, names: NameSource, depth = 0): bigint {
  let rest = text.trim();
  let value = 0n;
  let sign = 1n;
  if (rest.startsWith("-")) {
    sign = -1n;
    rest = rest.slice(1);
  }
  for (;;) {
    const match = TERM.exec(rest);
    if (!match) throw new CommandError(`"${toPlainLine(rest || text)}" is no address or number; see: help values`);
    value += sign * readTerm(match, names, depth);
    rest = rest.slice(match[0].length);
    if (rest === "") return BigInt.asUintN(64, value);
    if (rest[0] !== "+" && rest[0] !== "-") {
      throw new CommandError(
        `"${toPlainLine(rest)}" in "${toPlainLine(text)}" is out of place: terms are joined by + and -`,
      );
    }
    sign = rest[0] === "+" ? 1n : -1n;
    rest = rest.slice(1);
  }
}

function readTerm({ groups = {} }: RegExpExecArray, names: NameSource, depth: number): bigint {
  const { decimal, hex, register, variable, module, member, name } = groups;
  if (decimal !== undefined) return BigInt(decimal);
  if (hex !== undefined) return BigInt(hex.startsWith("0x") || hex.startsWith("0X") ? hex : `0x${hex}`);
  if (register !== undefined) return getRegister(register, names);
  if (variable !== undefined) return getVariable(variable, names, depth);
  if (module !== undefined) return getSymbol(names, member as string, module);
  return (
    (isRegisterName(name as string) ? names.findRegister((name as string).toUpperCase()) : undefined) ??
    getSymbol(names, name as string)
  );
}

/** Whether a name without "@" means a register: those that everybody knows by heart. */
function isRegisterName(name: string): boolean {
  return /^(r(ax|bx|cx|dx|si|di|bp|sp|ip|8|9|1[0-5])|cr[0234])$/i.test(name) || name.toUpperCase() in REGISTER_ALIASES;
}

function getRegister(name: string, names: NameSource): bigint {
  const value = names.findRegister(name.toUpperCase());
  if (value === undefined) throw new CommandError(`there is no register ${name}; the names: r`);
  return value;
}

function getVariable(name: string, names: NameSource, depth: number): bigint {
  const text = names.findVariable(name);
  if (text === undefined) throw new CommandError(`there is no variable $${name}; set one: $${name} = VALUE`);
  if (depth >= DEEPEST) throw new CommandError(`$${name} leads to itself, or too far`);
  return evaluate(text, names, depth + 1);
}

function getSymbol(names: NameSource, name: string, module?: string): bigint {
  const address = names.findSymbol(module, name);
  if (address !== undefined) return address;
  const where = module === undefined ? "in the kernel, its modules or this process" : `in ${toPlainLine(module)}`;
  throw new CommandError(
    `there is no symbol ${toPlainLine(name)} ${where}; look for it: x ${module === undefined ? "" : `${module}!`}*${name}*`,
  );
}
