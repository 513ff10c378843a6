import { join } from "node:path";
import ts from "typescript";
import { BUILT, PROJECT } from "../project";

const DOORS = ["rebox", "rebox/trusted", "rebox/investigation", "rebox/lab"];
const TYPES = new Map(DOORS.map((door) => [door, join(BUILT, `src/doors/${door.split("/").pop()!}.d.ts`)] as const));

/** What scripts and modules can import of rebox, as the compiler sees it: types and their members too. */
export class ExportedApi {
  readonly #checker: ts.TypeChecker;
  readonly #source: ts.SourceFile;
  readonly #modules = new Map<string, ts.Symbol>();
  readonly #exports: ReadonlyMap<string, ts.Symbol>;

  constructor() {
    const program = ts.createProgram([...TYPES.values()], {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.CommonJS,
      skipLibCheck: true,
      types: ["node"],
      typeRoots: [join(PROJECT, "node_modules/@types")],
    });
    this.#checker = program.getTypeChecker();
    this.#source = program.getSourceFile(TYPES.get("rebox")!)!;
    for (const [door, file] of TYPES) {
      this.#modules.set(door, this.#checker.getSymbolAtLocation(program.getSourceFile(file)!)!);
    }
    this.#exports = new Map(DOORS.flatMap((door) => this.#listExports(door)));
  }

  /** Tells whether there is such a name: "readPa()", "BP", "BP.EXECUTION", "BreakpointOptions.size"; "()" says that it can be called. */
  has(name: string): boolean {
    const [, owner, member, call] = /^(\w+)(?:\.(\w+))?(\(\))?$/.exec(name) ?? [];
    const symbol = this.#exports.get(owner ?? "");
    if (!symbol) return false;
    const found = member === undefined ? symbol : this.#findMember(symbol, member);
    if (!found) return false;
    if (call === undefined) return true;
    return this.#checker.getTypeOfSymbolAtLocation(found, this.#source).getCallSignatures().length > 0;
  }

  /** Lists what a door exports besides types, as what typeof says of it: "rebox", "rebox/trusted" ... */
  listValues(door: string): Record<string, string> {
    const values = this.#checker
      .getExportsOfModule(this.#modules.get(door)!)
      .filter((symbol) => !symbol.declarations?.some(isTypeOnly))
      .map((symbol) => [symbol.name, this.#resolve(symbol)] as const)
      .filter(([, symbol]) => symbol.flags & ts.SymbolFlags.Value);
    return Object.fromEntries(values.map(([name, symbol]) => [name, this.#typeOf(symbol)]));
  }

  /** Lists what has no docstring: "rebox/trusted: BP" ... Packages that are handed on document themselves. */
  listUndocumented(): string[] {
    return DOORS.flatMap((door) =>
      this.#listExports(door)
        .filter(
          ([, symbol]) => !symbol.declarations?.some((one) => one.getSourceFile().fileName.includes("node_modules")),
        )
        .filter(([, symbol]) => symbol.getDocumentationComment(this.#checker).length === 0)
        .map(([name]) => `${door}: ${name}`),
    );
  }

  #listExports(door: string): [string, ts.Symbol][] {
    const symbols = this.#checker.getExportsOfModule(this.#modules.get(door)!);
    return symbols.map((symbol) => [symbol.name, this.#resolve(symbol)]);
  }

  #typeOf(symbol: ts.Symbol): string {
    const type = this.#checker.getTypeOfSymbolAtLocation(symbol, this.#source);
    if (type.getCallSignatures().length + type.getConstructSignatures().length > 0) return "function";
    return type.flags & ts.TypeFlags.BigIntLike ? "bigint" : "object";
  }

  #findMember(owner: ts.Symbol, name: string): ts.Symbol | undefined {
    return this.#checker.getDeclaredTypeOfSymbol(owner).getProperty(name) ?? owner.exports?.get(name as ts.__String);
  }

  #resolve(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol;
  }
}

/** A class may be exported as a type alone. */
function isTypeOnly(declaration: ts.Declaration): boolean {
  return ts.isExportSpecifier(declaration) && (declaration.isTypeOnly || declaration.parent.parent.isTypeOnly);
}
