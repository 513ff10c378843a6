import { Command } from "commander";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/**
 * Creates the command `rebox init`.
 *
 * @param stdout receives the names of the files
 * @param projectFolder rebox's own folder
 */
export function createInitCommand(stdout: NodeJS.WritableStream, projectFolder: string): Command {
  return new Command("init")
    .summary("make a folder for scripts of your own")
    .description(
      "Writes a script to begin with, a tsconfig.json by which editors complete and check it, and a task for VS Code. Files that are there\n" +
        "already stay as they are: docs/guides/own-project.md.",
    )
    .helpOption("-h, --help", "show this help")
    .argument("[folder]", "where", ".")
    .action(async (folder: string) => {
      const { makeProjectFiles } = await import("./project-files.js");
      for (const [name, text] of makeProjectFiles(folder, projectFolder)) {
        const file = join(folder, name);
        if (existsSync(file)) {
          stdout.write(`${relative("", file)} is there already\n`);
          continue;
        }
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
        stdout.write(`${relative("", file)}\n`);
      }
    });
}
