import { join } from "node:path";
import ts from "typescript";
import { BUILT, PROJECT } from "../project";

const TYPES = join(BUILT, "src/index.d.ts");

/** What scripts import as "rebox", as the compiler sees it: types and their members too. */
export class ExportedApi {
  readonly #checker: ts.TypeChecker;
  readonly #source: ts.SourceFile;
  readonly #exports: ReadonlyMap<string, ts.Symbol>;

  constructor() {
    const program = ts.createProgram([TYPES], {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.CommonJS,
      skipLibCheck: true,
      types: ["node"],
      typeRoots: [join(PROJECT, "node_modules/@types")],
    });
    this.#checker = program.getTypeChecker();
    this.#source = program.getSourceFile(TYPES)!;
    const module = this.#checker.getSymbolAtLocation(this.#source)!;
    this.#exports = new Map(
      this.#checker.getExportsOfModule(module).map((symbol) => [symbol.name, this.#resolve(symbol)]),
    );
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

  #findMember(owner: ts.Symbol, name: string): ts.Symbol | undefined {
    return this.#checker.getDeclaredTypeOfSymbol(owner).getProperty(name) ?? owner.exports?.get(name as ts.__String);
  }

  #resolve(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol;
  }
}
