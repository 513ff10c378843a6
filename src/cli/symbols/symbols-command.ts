import { Command } from "commander";
import { getSymbolFolder } from "../../config/folders";
import { PdbError, PeError, SymbolsError } from "../../systems/errors";
import { UsageError } from "../errors";
import { ExitStatus } from "../exit-status";
import type * as symbolsWork from "./symbols-work";

type SymbolsWork = typeof symbolsWork;

interface GetOptions {
  readonly server: readonly string[];
  readonly path: string | undefined;
}

/**
 * Creates the command `rebox symbols` with `get`, `list` and `add`.
 *
 * @param stdout receives the results
 * @param onStatus receives the exit status
 */
export function createSymbolsCommand(stdout: NodeJS.WritableStream, onStatus: (status: number) => void): Command {
  const carryOut = async (act: (work: SymbolsWork) => Promise<void> | void): Promise<void> => {
    try {
      await act(await import("./symbols-work.js"));
      onStatus(ExitStatus.success);
    } catch (error) {
      if ([SymbolsError, PdbError, PeError].some((type) => error instanceof type)) {
        throw new UsageError((error as Error).message);
      }
      throw error;
    }
  };
  const command = new Command("symbols")
    .summary("keep symbols of images for Windows")
    .description(
      `Keeps symbols of images for Windows in ${getSymbolFolder()}:\n` +
        "PDB files, and ISF files of Volatility 3 that were made of them.",
    )
    .helpOption("-h, --help", "show this help");
  command
    .command("get")
    .summary("find an image's symbols, or fetch them")
    .description(
      "Finds the symbols of an image in rebox's folder and on the symbol path, and prints where they are. Where there\n" +
        "are none, symbol servers are asked: those of --server and of the symbol path, and no others.",
    )
    .argument("<image>", "a PE file; or NAME/GUIDAGE, as in ntkrnlmp.pdb/606FF669409B00F7FC8C61A9C16701291")
    .option("--server <address>", "a symbol server; may be given more than once", addTo, [])
    .option("--path <path>", "the symbol path: folders and srv*ADDRESS, with semicolons; _NT_SYMBOL_PATH by default")
    .helpOption("-h, --help", "show this help")
    .action((image: string, { server, path }: GetOptions) =>
      carryOut(({ getSymbols }) => getSymbols(image, server, path ?? process.env._NT_SYMBOL_PATH ?? "", stdout)),
    );
  command
    .command("list")
    .summary("list the symbols that are kept")
    .helpOption("-h, --help", "show this help")
    .action(() => carryOut(({ listSymbols }) => listSymbols(stdout)));
  command
    .command("add")
    .summary("keep symbols from a file")
    .argument("<file...>", "PDB files, also packed ones (.pd_), and ISF files (.json, .json.gz, .json.xz)")
    .helpOption("-h, --help", "show this help")
    .action((files: string[]) => carryOut(({ addSymbols }) => addSymbols(files, stdout)));
  return command;
}

function addTo(value: string, before: readonly string[]): string[] {
  return [...before, value];
}
