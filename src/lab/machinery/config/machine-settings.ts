import { config } from "../../../config/schema/settings";

/** The settings that every machine has, whatever its machinery; the names that Cuckoo, CAPE and Cuckoo3 use are known. */
export const MACHINE_SETTINGS = {
  enabled: config.boolean({ default: true, description: "no: the machine is left out, and is not checked." }),
  platform: config.string({
    ...{ toLower: true, choices: ["windows", "darwin", "linux"], example: "linux" },
    description: "The system in it: windows, darwin or linux.",
  }),
  os_version: config.string({ required: false, allowEmpty: true, example: "12", description: "The system's version." }),
  architecture: config.string({
    ...{ required: false, toLower: true, allowEmpty: true, aliases: ["arch"], example: "x64" },
    description: "x64, x86, arm64 ...; amd64 and x86_64 are x64.",
  }),
  tags: config.list(config.string({}), {
    ...{ required: false, allowEmpty: true, example: ["office"] },
    description: "What it can be asked for by.",
  }),
  snapshot: config.string({ required: false, allowEmpty: true, description: "The snapshot that a start reverts to." }),
  mac_address: config.macAddress({
    ...{ required: false, allowEmpty: true, aliases: ["mac"], example: "52:54:00:12:34:56" },
    description: "The address of its network card.",
  }),
  interface: config.networkInterface({
    ...{ required: false, allowEmpty: true, mustExist: true, example: "br0" },
    description: "The network interface of this host that it is connected to; that of the main part without it.",
  }),
  agent_port: config.int({ default: 8000, min: 1, max: 65535, description: "The agent's TCP port in the guest." }),
  resultserver_ip: config.ipAddress({ required: false, allowEmpty: true, description: "Where results are sent to." }),
  resultserver_port: config.int({
    ...{ required: false, allowEmpty: true, min: 1, max: 65535 },
    description: "The TCP port there.",
  }),
  reserved: config.boolean({ default: false, description: "yes: only who names it gets it." }),
};

/** `ip` of machines that need one. */
export const REQUIRED_ADDRESS = config.ipAddress({
  example: "192.168.30.101",
  description: "Its IP address, which this host can reach.",
});

/** `ip` of machines that can do without. */
export const OPTIONAL_ADDRESS = config.ipAddress({ required: false, allowEmpty: true, description: "Its IP address." });

/** The hypervisor's name of a machine, where a file has to say it. */
export const REQUIRED_LABEL = config.string({ description: "The name that the hypervisor knows it by." });

/** The same where the machine's own name is taken without it. */
export const OPTIONAL_LABEL = config.string({
  required: false,
  description: "The hypervisor's name, if it is another.",
});

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
