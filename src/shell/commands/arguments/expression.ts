import { toPlainLine } from "../../../config/terminal-text";
import { REGISTER_ALIASES } from "../../../machine/state/cpu";
import { CommandError } from "../../errors";
import { readSymbolName } from "./symbol-name";

/** The source of the names in an expression. */
export interface NameSource {
  /** Finds a register by its name in capitals. */
  findRegister(name: string): bigint | undefined;
  /** Finds a symbol; without a module in all modules. An empty name is the module itself. */
  findSymbol(module: string | undefined, name: string): bigint | undefined;
  findVariable(name: string): string | undefined;
  /** Says why there is no symbol of that name, when more is known than that. */
  explainMissing?(module: string): string | undefined;
}

/** The deepest chain of variables that lead to each other. */
const DEEPEST = 16;
const TERM =
  /^(?:\\d(?<decimal>\d+)|(?<hex>(?:0x)?[0-9a-f]+)(?![\w!.$])|@(?<register>\w+)|\$(?<variable>\w+)|(?<name>[A-Za-z_.][\w.$@]*))/i;
/** Numbers, registers and variables with their mark, before + or -: they may stand in front of a module's name. */
const MARKED = /^(?:\\d\d+|0x[0-9a-f]+|[@$]\w+)[+-]/i;

/** One evaluation, with the variables inside. */
interface Evaluation {
  readonly names: NameSource;
  readonly depth: number;
  /** The values of variables: each is computed once, however often it is named. */
  readonly variables: Map<string, bigint>;
}

/**
 * Computes an address or number: terms joined by + and -. A term is a hexadecimal number ("1f", "0x1f"), a decimal one
 * ("\d31"), a register ("@rip", or "rip" where no number has that name), a symbol ("kernel!schedule", "schedule") or a
 * variable ("$name"); "nginx!" is the beginning of a module. A name with "!" is one name as a whole ("af-alg!main"), unless no such module is there and it begins with a marked
 * number, register or variable ("0x10-kernel!schedule").
 *
 * @returns modulo 2 to the 64
 * @throws CommandError that names the part that means nothing
 */
export function evaluate(text: string, names: NameSource): bigint {
  return compute(text, { names, depth: 0, variables: new Map() });
}

function compute(text: string, evaluation: Evaluation): bigint {
  let rest = text.trim();
  let value = 0n;
  let sign = 1n;
  if (rest.startsWith("-") && findSymbol(rest, evaluation.names) === undefined) {
    sign = -1n;
    rest = rest.slice(1);
  }
  for (;;) {
    const [term, length] = takeTerm(rest, text, evaluation);
    value += sign * term;
    rest = rest.slice(length);
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

/** Takes the first term of the rest of a text. */
function takeTerm(rest: string, text: string, evaluation: Evaluation): readonly [value: bigint, length: number] {
  const { names } = evaluation;
  const symbol = readSymbolName(rest);
  if (symbol) {
    const address = names.findSymbol(symbol.module, symbol.name);
    if (address !== undefined) return [address, symbol.length];
    if (!MARKED.test(rest)) throw missingSymbol(names, symbol.name, symbol.module);
  }
  const match = TERM.exec(rest);
  if (!match) throw new CommandError(`"${toPlainLine(rest || text)}" is no address or number; see: help values`);
  return [readTerm(match, evaluation), match[0].length];
}

/** Finds the symbol whose name a text begins with. */
function findSymbol(text: string, names: NameSource): bigint | undefined {
  const symbol = readSymbolName(text);
  return symbol && names.findSymbol(symbol.module, symbol.name);
}

function readTerm({ groups = {} }: RegExpExecArray, evaluation: Evaluation): bigint {
  const { names } = evaluation;
  const { decimal, hex, register, variable, name = "" } = groups;
  if (decimal !== undefined) return BigInt(decimal);
  if (hex !== undefined) return BigInt(/^0x/i.test(hex) ? hex : `0x${hex}`);
  if (register !== undefined) return getRegister(register, names);
  if (variable !== undefined) return getVariable(variable, evaluation);
  const value = isRegisterName(name) ? names.findRegister(name.toUpperCase()) : undefined;
  const address = value ?? names.findSymbol(undefined, name);
  if (address === undefined) throw missingSymbol(names, name);
  return address;
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

function getVariable(name: string, { names, depth, variables }: Evaluation): bigint {
  const known = variables.get(name);
  if (known !== undefined) return known;
  const text = names.findVariable(name);
  if (text === undefined) throw new CommandError(`there is no variable $${name}; set one: $${name} = VALUE`);
  if (depth >= DEEPEST) throw new CommandError(`$${name} leads to itself, or too far`);
  const value = compute(text, { names, depth: depth + 1, variables });
  variables.set(name, value);
  return value;
}

function missingSymbol(names: NameSource, name: string, module?: string): CommandError {
  const shown = toPlainLine(name);
  if (module === undefined) {
    const where = "in the kernel, its modules or this process";
    return new CommandError(`there is no symbol ${shown} ${where}; look for it: x *${shown}*`);
  }
  const reason = names.explainMissing?.(module);
  const where = toPlainLine(module);
  if (name === "") return new CommandError(reason ?? `no module ${where} here`);
  return new CommandError(reason ?? `there is no symbol ${shown} in ${where}; look for it: x ${where}!*${shown}*`);
}
