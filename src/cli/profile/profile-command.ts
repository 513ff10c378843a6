import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Command } from "commander";
import { getProfileFolder } from "../../config/folders";
import { ExitStatus } from "../exit-status";
import { UsageError } from "../errors";

/**
 * Creates the command `rebox profile`.
 *
 * @param stdout receives the result
 * @param onStatus receives the exit status
 */
export function createProfileCommand(stdout: NodeJS.WritableStream, onStatus: (status: number) => void): Command {
  return new Command("profile")
    .summary("make a profile of a kernel that says too little about itself")
    .usage("VMLINUX|PACKAGE [-o FILE]")
    .description(
      "Makes a profile of a Linux kernel from its debug information: a vmlinux, or the .deb with it\n" +
        "(linux-image-*-dbg). Only kernels without BTF or without symbols of data need one.",
    )
    .argument("<kernel>", "a vmlinux with debug information, or a linux-image-*-dbg .deb")
    .helpOption("-h, --help", "show this help")
    .option("-o, --output <file>", `where to write it; without it, to ${getProfileFolder()}, where it is found`)
    .action(async (kernel: string, { output }: { output?: string }) => {
      const { makeProfile } = await import("./make-profile.js");
      const { content, buildId, banner, symbolCount } = makeProfile(kernel);
      if (output === undefined && buildId === undefined) {
        throw new UsageError(`${kernel} has no build id to find its profile by: name a file with -o`);
      }
      const path = output === undefined ? join(getProfileFolder(), `${buildId}.profile`) : resolve(output);
      writeWhole(path, content);
      stdout.write(`${path}: ${symbolCount} symbols and the types of ${banner}\n`);
      onStatus(ExitStatus.success);
    });
}

/** Writes a file under another name first: half a profile must never be found. */
function writeWhole(path: string, content: Buffer): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new UsageError(`cannot write the profile: ${(error as Error).message}`);
  }
}
