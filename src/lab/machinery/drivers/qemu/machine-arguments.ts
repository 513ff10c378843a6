import { QuotingError } from "../../../../config/errors";
import { splitQuotedWords } from "../../../../config/quoted-words";
import type { SettingsOf } from "../../../../config/schema/settings-schema";
import { MachineryError } from "../../../errors";
import { findOwnNetwork, hasCardInArguments, NETDEV } from "../../../network/network-choice";
import type { LabMachine } from "../../records/lab-machine";
import type { QEMU_MACHINE_SETTINGS } from "./qemu-settings";
import {
  checkStartArguments,
  DISK_PLACEHOLDER,
  escapeOption,
  fillPlaceholders,
  readMachineInfo,
} from "./start-arguments";

/** The places of a machine's ports, as QEMU is to find them. */
export interface PortPlaces {
  /** The socket of the first serial port. */
  readonly socket: string;
  /** The file that gets what the machine writes on its first serial port. */
  readonly log: string;
  /** The socket of QEMU's guest agent; undefined: its port leads nowhere. */
  readonly agent: string | undefined;
}

export type QemuMachine = LabMachine<SettingsOf<typeof QEMU_MACHINE_SETTINGS>>;

/**
 * Returns the arguments that make the machine what it is: its machineinfo.json's, or those of its settings.
 *
 * @param disk the disk of this run; undefined when the machine has none
 * @throws MachineryError for arguments that cannot be used
 */
export function getMachineArguments(machine: QemuMachine, disk: string | undefined, ports: PortPlaces): string[] {
  const { settings, name } = machine.facts;
  const more = checkStartArguments(splitArguments(settings.args, name), `args of ${name}`, false);
  const base =
    settings.machineinfo_path === undefined
      ? [...describeMachine(machine, ports), ...(disk !== undefined && !hasDisk(more) ? DISK : [])]
      : readMachineInfo(settings.machineinfo_path);
  // Last, so that no device of the machine has another place than without it.
  const agent = needsGuestAgentPort(machine, [...base, ...more]) ? describeGuestAgent(ports.agent) : [];
  return fillPlaceholders([...base, ...more, ...agent, ...getCard(machine)], {
    ...(disk === undefined ? {} : { DISPOSABLE_DISK_PATH: escapeOption(disk) }),
    MACHINE_NAME: escapeOption(name),
    MEMORY: settings.memory,
    CONSOLE_SOCKET: escapeOption(ports.socket),
    ...(ports.agent === undefined ? {} : { GUEST_AGENT_SOCKET: escapeOption(ports.agent) }),
    ...(machine.facts.macAddress === undefined ? {} : { MAC_ADDRESS: machine.facts.macAddress }),
    ...(machine.facts.interface === undefined ? {} : { INTERFACE: machine.facts.interface }),
  });
}

const CONSOLE = "lab-console";
const AGENT_PLACEHOLDER = "%GUEST_AGENT_SOCKET%";
const DISK = ["-drive", `file=${DISK_PLACEHOLDER},format=qcow2,if=virtio`];

function describeMachine({ facts }: QemuMachine, ports: PortPlaces): string[] {
  const { kernel, initrd, append, memory, cpus, cpu } = facts.settings;
  return [
    ...["-m", memory, "-smp", String(cpus), "-display", "none", "-nic", "none"],
    ...[
      "-chardev",
      `socket,id=${CONSOLE},server=on,wait=off,path=${escapeOption(ports.socket)},logfile=${escapeOption(ports.log)}`,
    ],
    ...["-serial", `chardev:${CONSOLE}`],
    ...(cpu === undefined ? [] : ["-cpu", cpu]),
    ...(kernel === undefined ? [] : ["-kernel", kernel]),
    ...(initrd === undefined ? [] : ["-initrd", initrd]),
    ...(append === undefined ? [] : ["-append", append]),
  ];
}

/** Returns the network card: what it is connected to is said by each start, so that a golden state fits every network. */
function getCard({ facts }: QemuMachine): string[] {
  if (findOwnNetwork(facts) === undefined || hasCardInArguments(facts)) return [];
  const mac = facts.macAddress === undefined ? "" : `,mac=${facts.macAddress}`;
  return ["-device", `${escapeOption(facts.settings.network_card)},netdev=${NETDEV}${mac}`];
}

/** A virtio-serial port of the name by which the agent finds it: docs/interop/qemu-ga.rst of QEMU. */
function describeGuestAgent(socket: string | undefined): string[] {
  const end =
    socket === undefined ? "null,id=lab-agent" : `socket,id=lab-agent,server=on,wait=off,path=${AGENT_PLACEHOLDER}`;
  return [
    ...["-chardev", end, "-device", "virtio-serial,id=lab-agent-bus"],
    ...["-device", "virtserialport,bus=lab-agent-bus.0,chardev=lab-agent,name=org.qemu.guest_agent.0"],
  ];
}

function needsGuestAgentPort({ facts }: QemuMachine, args: readonly string[]): boolean {
  const isWanted = facts.settings.guest_agent || facts.wayIn === "guest-agent";
  return isWanted && !args.some((arg) => arg.includes(AGENT_PLACEHOLDER));
}

function hasDisk(args: readonly string[]): boolean {
  return args.some((arg) => arg.includes(DISK_PLACEHOLDER));
}

function splitArguments(text: string | undefined, name: string): string[] {
  try {
    return splitQuotedWords(text ?? "");
  } catch (error) {
    if (error instanceof QuotingError) throw new MachineryError(`args of ${name}: ${error.message}`);
    throw error;
  }
}
