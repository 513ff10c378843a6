/** Runs a command of a script that ships, or none: ready-script SCRIPT COMMAND|none FOLDER <QEMU's arguments> */

import { join } from "node:path";
import { parsePermissions } from "../../src/config/script-permissions";
import { doors } from "../../src/doors/doors";
import { ScriptHost } from "../../src/scripts/script-host";
import { createMachine } from "./machine";

const SCRIPTS = join(__dirname, "../../../../scripts");

async function main([script = "", command = "none", folder = "", ...argv]: readonly string[]): Promise<void> {
  const machine = createMachine(argv);
  if (command !== "none") {
    const permissions = parsePermissions(`fs:${folder}`, folder);
    const host = new ScriptHost({ folders: [], getApi: () => doors, getPermissions: () => permissions });
    await host.load(join(SCRIPTS, `${script}.ts`));
    await host.runCommand(command.replaceAll("FOLDER", folder));
  }
  machine.run();
}

void main(process.argv.slice(2));
