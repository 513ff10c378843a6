import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { relative, dirname, join } from "node:path";
import type ts from "typescript";

/** One thing that is wrong with a script. */
export interface Problem {
  /** Absolute path. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based. */
  readonly column: number;
  readonly text: string;
  /** The text of that line. */
  readonly sourceLine?: string | undefined;
}

/** Returns a problem as text: file:line:column, what it is, and the source line with a mark under the column. */
export function describeProblem(problem: Problem): string {
  const path = relative("", problem.file);
  const shown = path.startsWith("..") ? problem.file : path;
  const message = `${shown}:${problem.line}:${problem.column}: ${problem.text}`;
  if (problem.sourceLine === undefined) return message;
  const mark = `${" ".repeat(problem.column - 1)}^`;
  return `${message}\n    ${problem.sourceLine.replaceAll("\t", " ")}\n    ${mark}`;
}

type TypeScript = typeof ts;

/**
 * Finds the TypeScript compiler: the script's own, or else rebox's.
 *
 * @returns undefined when neither is installed
 */
export function findTypeScript(script: string, projectFolder: string): TypeScript | undefined {
  for (const from of [script, join(projectFolder, "package.json")]) {
    try {
      return createRequire(from)("typescript") as TypeScript;
    } catch {
      // Not installed there.
    }
  }
  return undefined;
}

/**
 * Checks the types of a script and the files it imports; the doors of rebox mean this rebox's own types.
 *
 * @param typescript the compiler
 * @param script the script's absolute path
 * @param projectFolder rebox's own folder
 */
export function checkTypes(typescript: TypeScript, script: string, projectFolder: string): Problem[] {
  const options = getOptions(typescript, script, projectFolder);
  const program = typescript.createProgram([script], options);
  const diagnostics = [...program.getOptionsDiagnostics()];
  for (const source of program.getSourceFiles()) {
    const isRebox = source.fileName.startsWith(join(projectFolder, "src/"));
    if (isRebox || source.isDeclarationFile || program.isSourceFileFromExternalLibrary(source)) continue;
    diagnostics.push(...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source));
  }
  return diagnostics
    .filter((diagnostic) => diagnostic.category === typescript.DiagnosticCategory.Error)
    .map((diagnostic) => asProblem(typescript, diagnostic, script));
}

/** Returns the options of the nearest tsconfig.json that say what is an error; the loader decides how to compile. */
function getOptions(typescript: TypeScript, script: string, projectFolder: string): ts.CompilerOptions {
  const configFile = typescript.findConfigFile(dirname(script), typescript.sys.fileExists);
  const own = configFile === undefined ? { strict: true } : readConfig(typescript, configFile);
  const compiled = join(projectFolder, "build/js/src/doors");
  const [folder, suffix] = existsSync(compiled) ? [compiled, ".d.ts"] : [join(projectFolder, "src/doors"), ".ts"];
  const nodeTypes = join(projectFolder, "node_modules/@types");
  const options: ts.CompilerOptions = {
    ...own,
    // The engine and the bundler say which syntax there is: src/scripts/loading/script-bundle.ts.
    target: typescript.ScriptTarget.ESNext,
    lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
    module: typescript.ModuleKind.ESNext,
    moduleResolution: typescript.ModuleResolutionKind.Bundler,
    esModuleInterop: true,
    allowImportingTsExtensions: true,
    allowJs: true,
    noEmit: true,
    skipLibCheck: true,
    paths: {
      ...own.paths,
      rebox: [join(folder, `rebox${suffix}`)],
      "rebox/*": [join(folder, `*${suffix}`)],
    },
  };
  if (existsSync(join(nodeTypes, "node"))) {
    options.types = [...new Set([...(own.types ?? []), "node"])];
    options.typeRoots = [...(own.typeRoots ?? findTypeRoots(dirname(script))), nodeTypes];
  }
  // Options that only matter to a compiler that writes files; with noEmit some of them are an error.
  for (const name of ["incremental", "composite", "tsBuildInfoFile", "rootDir", "outDir", "declaration", "sourceMap"]) {
    delete options[name];
  }
  return options;
}

function readConfig(typescript: TypeScript, configFile: string): ts.CompilerOptions {
  const { config } = typescript.readConfigFile(configFile, typescript.sys.readFile);
  return typescript.parseJsonConfigFileContent(config ?? {}, typescript.sys, dirname(configFile)).options;
}

function findTypeRoots(start: string): string[] {
  const roots: string[] = [];
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
    const root = join(folder, "node_modules/@types");
    if (existsSync(root)) roots.push(root);
  }
  return roots;
}

function asProblem(typescript: TypeScript, diagnostic: ts.Diagnostic, script: string): Problem {
  const text = `error TS${diagnostic.code}: ${typescript.flattenDiagnosticMessageText(diagnostic.messageText, "\n  ")}`;
  const { file, start } = diagnostic;
  if (file === undefined || start === undefined) return { file: script, line: 1, column: 1, text };
  const { line, character } = file.getLineAndCharacterOfPosition(start);
  const sourceLine = file.text.split(/\r\n|\n|\r/)[line];
  return { file: file.fileName, line: line + 1, column: character + 1, text, sourceLine };
}
