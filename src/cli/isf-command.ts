import { createReadStream, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { finished } from "node:stream/promises";
import { Command } from "commander";
import { getReboxVersion } from "../config/folders";
import { connectControl } from "./connect-control";
import { UsageError } from "./errors";
import { ExitStatus } from "./exit-status";

/**
 * Creates the command `rebox isf`.
 *
 * @param stdout receives the result
 * @param onStatus receives the exit status
 */
export function createIsfCommand(stdout: NodeJS.WritableStream, onStatus: (status: number) => void): Command {
  return new Command("isf")
    .summary("write a symbol file for Volatility 3")
    .description(
      "Writes a symbol file for Volatility 3 (ISF) of the kernel that the guest of rebox run --control SOCKET runs:\n" +
        "rebox isf guest.sock > symbols/linux/guest.json\n" +
        "Or of an image for Windows, whose PDB file is named:\n" +
        "rebox isf ntkrnlmp.pdb -o symbols/windows/ntkrnlmp.pdb/GUID-AGE.json",
    )
    .argument("<socket>", "the path that was given to --control; or a PDB file")
    .helpOption("-h, --help", "show this help")
    .option("-o, --output <file>", "where to write it; without it, to standard output")
    .action(async (socket: string, { output }: { output?: string }) => {
      if (/\.pd[b_]$/i.test(socket)) await writeOfPdb(socket, output, stdout);
      else if (output !== undefined) await ask(socket, resolve(output));
      else await print(socket, stdout);
      onStatus(ExitStatus.success);
    });
}

async function writeOfPdb(path: string, output: string | undefined, stdout: NodeJS.WritableStream): Promise<void> {
  const { readImageSymbols } = await import("../systems/windows/symbols/image-symbols.js");
  const { writeImageIsf } = await import("../systems/windows/symbols/image-isf.js");
  try {
    const pieces = [...writeImageIsf(readImageSymbols(path), getReboxVersion())];
    if (output === undefined) for (const piece of pieces) stdout.write(piece);
    else writeFileSync(output, pieces.join(""));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function ask(socket: string, file: string): Promise<void> {
  const client = await connectControl(socket);
  try {
    const { error } = await client.run(`isf ${JSON.stringify(file)}`);
    if (error !== undefined) throw new UsageError(error);
  } finally {
    client.close();
  }
}

/**
 * Prints the symbol file. The engine writes files only, so it writes a temporary one, which has no name any more when it is printed:
 * nothing is left of it when the reader of the output goes away.
 */
async function print(socket: string, stdout: NodeJS.WritableStream): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-isf-"));
  let descriptor: number;
  try {
    const file = join(folder, "symbols.json");
    await ask(socket, file);
    descriptor = openSync(file, "r");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const source = createReadStream("", { fd: descriptor });
  source.pipe(stdout, { end: false });
  await finished(source);
}
