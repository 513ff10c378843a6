/** Traces all system calls into a file, or does not: syscall-trace traced|untraced FOLDER <QEMU's arguments> */

import { join } from "node:path";
import { parsePermissions } from "../../src/config/script-permissions";
import { doors } from "../../src/doors/doors";
import { ScriptHost } from "../../src/scripts/script-host";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

const SCRIPT = join(__dirname, "../../../../scripts/syscall_trace.ts");

async function main([variant, folder = "", ...argv]: readonly string[]): Promise<void> {
  createMachine(argv).run();
  await waitToProceed();
  if (variant === "traced") {
    const permissions = parsePermissions(`fs:${folder}`, folder);
    const host = new ScriptHost({ folders: [], getApi: () => doors, getPermissions: () => permissions });
    await host.load(SCRIPT);
    await host.runCommand(`trace_syscalls_to ${join(folder, "trace.txt")}`);
  }
  process.send?.({});
}

void main(process.argv.slice(2));
