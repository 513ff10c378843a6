/** Searches all memory accesses of the guest, or does not: memory-search WHAT|none <QEMU's arguments> */

import { tmpdir } from "node:os";
import { join } from "node:path";
import { parsePermissions } from "../../src/config/script-permissions";
import { doors } from "../../src/doors/doors";
import { ScriptHost } from "../../src/scripts/script-host";
import { createMachine } from "./machine";

const SCRIPT = join(__dirname, "../../../../scripts/memory_search.ts");

async function main([what = "none", ...argv]: readonly string[]): Promise<void> {
  const machine = createMachine(argv);
  if (what !== "none") {
    const permissions = parsePermissions(`fs:${tmpdir()}`, tmpdir());
    const host = new ScriptHost({ folders: [], getApi: () => doors, getPermissions: () => permissions });
    await host.load(SCRIPT);
    await host.runCommand(`memory_search ${what}`);
  }
  machine.run();
}

void main(process.argv.slice(2));
