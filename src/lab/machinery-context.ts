import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type ConfigContent, makeMachineFacts, readSources, toContent } from "./machinery/config/own-layout";
import { listUsable } from "./machinery/config/read-machine";
import type { MachineryConfig } from "./machinery/config/read-machinery-config";
import type { Machinery, MachineryContext } from "./machinery/machinery";

/** Returns the folder of a machine, in which everything is that outlives a process. */
export function getMachineFolder(labFolder: string, name: string): string {
  return join(labFolder, "state", name);
}

/**
 * Makes the surroundings of a machinery in a lab: its configuration, and the folders of its machines.
 *
 * @param folder of the lab, absolute
 */
export function createMachineryContext(
  machinery: Machinery,
  config: MachineryConfig,
  folder: string,
  log: (text: string) => void,
): MachineryContext<Record<string, unknown>, Record<string, unknown>> {
  return {
    config: config.values,
    configured: listUsable(config.machines),
    labFolder: folder,
    configFiles: readSources(config.files),
    content: toContent(config.root) as Readonly<Record<string, ConfigContent>>,
    makeMachine: (machine, values) => makeMachineFacts(machinery, machine, values, folder, log),
    getFolder: (machine) => {
      const own = getMachineFolder(folder, machine.name);
      mkdirSync(own, { recursive: true });
      return own;
    },
    log,
  };
}
