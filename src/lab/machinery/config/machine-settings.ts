import { z } from "zod";
import { config } from "../../../config/schema/settings";
import type { SettingsSchema } from "../../../config/schema/settings-schema";
import type { Machinery } from "../machinery";
import { WAY_CHOICES } from "../records/lab-machine";

/** The settings that every machine has, whatever its machinery; the names that Cuckoo, CAPE and Cuckoo3 use are known. */
export const MACHINE_SETTINGS = {
  enabled: z.boolean().default(true).describe("no: the machine is left out, and is not checked."),
  platform: z
    .string()
    .toLowerCase()
    .pipe(z.enum(["windows", "darwin", "linux"]))
    .meta({ examples: ["linux"], description: "The system in it: windows, darwin or linux." }),
  os_version: z
    .string()
    .optional()
    .meta({ examples: ["12"], description: "The system's version." }),
  architecture: z
    .string()
    .toLowerCase()
    .optional()
    .meta({ aliases: ["arch"], examples: ["x64"], description: "x64, x86, arm64 ...; amd64 and x86_64 are x64." }),
  tags: z
    .array(z.string())
    .default([])
    .meta({ examples: [["office"]], description: "What it can be asked for by." }),
  snapshot: z.string().optional().describe("The snapshot that a start reverts to."),
  mac_address: config
    .macAddress()
    .optional()
    .meta({
      aliases: ["mac"],
      examples: ["52:54:00:12:34:56"],
      description: "The address of its network card.",
    }),
  interface: config
    .networkInterface()
    .optional()
    .meta({
      examples: ["br0"],
      description: "The network interface of this host that it is connected to; that of the main part without it.",
    }),
  agent_port: z.int().min(1).max(65535).default(8000).describe("The agent's TCP port in the guest."),
  agent_pinning: z
    .boolean()
    .default(false)
    .describe("yes: the agent is told to listen to this host alone from then on."),
  way_in: z
    .enum(WAY_CHOICES)
    .default("auto")
    .describe(
      "The way into its system: console, guest-agent (QEMU's), agent (CAPE's), keyboard, or auto for what answers first but the last.",
    ),
  resultserver_ip: config.ipAddress().optional().describe("Where results are sent to."),
  resultserver_port: z.int().min(1).max(65535).optional().describe("The TCP port there."),
  reserved: z.boolean().default(false).describe("yes: only who names it gets it."),
};

/** `ip` of machines that need one. */
const REQUIRED_ADDRESS = config.ipAddress().meta({
  examples: ["192.168.30.101"],
  description: "Its IP address, which this host can reach.",
});

/** `ip` of machines that can do without. */
const OPTIONAL_ADDRESS = config.ipAddress().optional().describe("Its IP address.");

/** The hypervisor's name of a machine, where a file has to say it. */
const REQUIRED_LABEL = z.string().describe("The name that the hypervisor knows it by.");

/** The same where the machine's own name is taken without it. */
const OPTIONAL_LABEL = z.string().optional().describe("The hypervisor's name, if it is another.");

/** A name for a machine: it becomes a folder, and part of what people type. */
export const MACHINE_NAME = /^[A-Za-z0-9_][\w.-]{0,63}$/;

/**
 * Returns the settings of one machine: those of all machines and those of its machinery.
 *
 * @param isIni in an INI file the label has to be there, as in Cuckoo's
 */
export function getMachineSchema(machinery: Machinery, isIni: boolean): SettingsSchema {
  const { labelKey, needsAddress, machineSettings } = machinery;
  return {
    ...(labelKey === undefined ? {} : { [labelKey]: isIni ? REQUIRED_LABEL : OPTIONAL_LABEL }),
    ip: needsAddress ? REQUIRED_ADDRESS : OPTIONAL_ADDRESS,
    ...MACHINE_SETTINGS,
    ...machineSettings,
  };
}

/** Other names of the same processor. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  amd64: "x64",
  x86_64: "x64",
  i386: "x86",
  i686: "x86",
  aarch64: "arm64",
};

/** Returns the one name of an architecture. */
export function normalizeArchitecture(name: string): string {
  return ARCHITECTURES[name] ?? name;
}
