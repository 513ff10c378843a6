import { findSystem, getSystem } from "../../../guest/guest";
import type { ModuleSymbol } from "../../../systems/guest-system";
import { namePattern } from "../../../systems/symbols/name-pattern";
import { type Command, defineCommand } from "../command";
import { CommandError } from "../../errors";
import { evaluate } from "../arguments/expression";
import { getProcess } from "../arguments/process-choice";
import { explainMissingSymbols } from "../rendering/missing-symbols";

const MOST_SYMBOLS = 1000;
const KERNEL_NAMES = ["0", "kernel", "System"];

export const SYMBOL_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "lm",
    aliases: ["lsmod", "modules"],
    usage: "[PROCESS | kernel]",
    help: "Lists what is loaded: the kernel and its modules, or the program and libraries of a process.\nWithout an argument: of the chosen process, or of the kernel.",
    parse: (input) => (input.command === "lsmod" ? "kernel" : input.find()),
    run: (text, session) => {
      const isKernel = text === undefined ? session.process === undefined : KERNEL_NAMES.includes(text);
      const modules = getSystem().symbols.getModules(isKernel ? 0n : getProcess(text, session).pgd);
      const rows = modules.map(({ base, size, name, path }) => ({ base, size: BigInt(size), name, path }));
      return { kind: "rows", columns: ["base", "size", "name", "path"], rows };
    },
  }),
  defineCommand({
    name: "x",
    usage: "[MODULE!]NAME",
    help: "Searches symbols; * stands for any characters and ? for one, in both names.\nLooks into the kernel, its modules and the chosen process.",
    parse: (input) => {
      const text = input.get("a name; * finds all: x kernel!*");
      const at = text.lastIndexOf("!");
      return { module: at < 0 ? "*" : text.slice(0, at), name: text.slice(at + 1) };
    },
    run: ({ module, name }, session) => {
      const guest = getSystem();
      const pgd = session.userPgd(guest);
      const isNamed = namePattern(module);
      const matches = (name: string): boolean =>
        isNamed(name) || (guest.kind === "windows" && isNamed(name.replace(/\.(dll|exe|sys)$/i, "")));
      const found: ModuleSymbol[] = [];
      for (const space of pgd === 0n ? [0n] : [0n, pgd]) {
        for (const symbol of guest.symbols.search(space, name)) {
          if (!matches(symbol.module)) continue;
          if (found.length === MOST_SYMBOLS) {
            return symbolRows(found, `more than ${MOST_SYMBOLS}: narrow the name down`);
          }
          found.push(symbol);
        }
      }
      if (found.length > 0) return symbolRows(found);
      const reason = explainMissingSymbols(guest.symbols, pgd, module, matches);
      const where = module === "*" ? `the kernel, its modules${pgd === 0n ? "" : " and the process"}` : module;
      return symbolRows(found, reason ?? `no symbol ${name} in ${where}`);
    },
  }),
  defineCommand({
    name: "ln",
    usage: "ADDRESS",
    help: "Tells the nearest symbol at or before an address, and the module; the module alone where that has no symbols.",
    parse: (input, session) => evaluate(input.get("an address"), session),
    run: (address, session) => {
      const guest = findSystem();
      if (!guest) {
        const note = "no symbols: the guest's system is none that rebox knows (doctor says why)";
        return { kind: "rows", columns: ["address"], rows: [{ address }], note };
      }
      const pgd = session.userPgd(guest);
      const columns = ["address", "module", "symbol", "distance", "type"];
      const symbol = guest.symbols.findSymbol(pgd, address);
      if (symbol) {
        const { address: start, module, name, type } = symbol;
        return {
          kind: "rows",
          columns,
          rows: [{ address: start, module, symbol: name, distance: address - start, type }],
        };
      }
      const module = guest.symbols.findModule(pgd, address);
      if (!module) throw new CommandError(`0x${address.toString(16)} is in no module`);
      const row = {
        address: module.base,
        module: module.name,
        symbol: null,
        distance: address - module.base,
        type: null,
      };
      return { kind: "rows", columns, rows: [row], note: `${module.name} has no symbol for it` };
    },
  }),
];

function symbolRows(symbols: readonly ModuleSymbol[], note?: string) {
  const rows = symbols.map(({ address, size, type, module, name }) => ({
    ...{ address, type, module, name },
    size: BigInt(size),
  }));
  return { kind: "rows" as const, columns: ["address", "size", "type", "module", "name"], rows, note };
}
