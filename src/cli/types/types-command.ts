import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { Command } from "commander";
import { ExitStatus } from "../exit-status";
import { UsageError } from "../errors";

/**
 * Creates the command `rebox types`.
 *
 * @param stdout receives the result
 * @param onStatus receives the exit status
 */
export function createTypesCommand(stdout: NodeJS.WritableStream, onStatus: (status: number) => void): Command {
  return new Command("types")
    .summary("declare a kernel's structs for an editor")
    .usage("VMLINUX|PROFILE|BTF [-o FILE.d.ts]")
    .description(
      "Writes a TypeScript declaration file of a kernel's structs, so that an editor completes\n" +
        'guest.struct("task_struct", address).mm. For the kernel of a running guest, a script\n' +
        'calls writeGuestTypes(file) of "rebox".',
    )
    .argument("<kernel>", "a vmlinux, a profile, an ISF file, a PDB file, or BTF such as /sys/kernel/btf/vmlinux")
    .helpOption("-h, --help", "show this help")
    .option("-o, --output <file>", "where to write it; without it, to standard output")
    .action(async (kernel: string, { output }: { output?: string }) => {
      const { declareTypes } = await import("../../systems/symbols/type-declarations.js");
      const { readTypes } = await import("./read-types.js");
      const text = declareTypes(readTypes(kernel), basename(kernel));
      if (output === undefined) stdout.write(text);
      else writeFile(output, text);
      onStatus(ExitStatus.success);
    });
}

function writeFile(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new UsageError(`cannot write the declarations: ${(error as Error).message}`);
  }
}
