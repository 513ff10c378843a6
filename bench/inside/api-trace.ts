/** Traces the calls of a program into a file, or does not: api-trace traced|untraced FOLDER <QEMU's arguments> */

import { join } from "node:path";
import { parsePermissions } from "../../src/config/script-permissions";
import { doors } from "../../src/doors/doors";
import { ScriptHost } from "../../src/scripts/script-host";
import { createMachine } from "./machine";

const SCRIPT = join(__dirname, "../../../../scripts/api_trace.ts");

async function main([variant, folder = "", ...argv]: readonly string[]): Promise<void> {
  const machine = createMachine(argv);
  if (variant === "traced") {
    const permissions = parsePermissions(`fs:${folder}`, folder);
    const host = new ScriptHost({ folders: [], getApi: () => doors, getPermissions: () => permissions });
    await host.load(SCRIPT);
    await host.runCommand(`api_trace_to ${join(folder, "api.log")} process=caller`);
  }
  machine.run();
  process.send?.({});
}

void main(process.argv.slice(2));
