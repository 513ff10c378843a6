import { QuotingError } from "../../../../config/errors";
import { splitQuotedWords } from "../../../../config/quoted-words";
import type { SettingsOf } from "../../../../config/schema/settings-schema";
import { MachineryError } from "../../../errors";
import type { LabMachine } from "../../records/lab-machine";
import type { QEMU_MACHINE_SETTINGS } from "./qemu-settings";
import {
  checkStartArguments,
  DISK_PLACEHOLDER,
  escapeOption,
  fillPlaceholders,
  readMachineInfo,
} from "./start-arguments";

/** The places of a machine's first serial port. */
export interface SerialPlaces {
  /** As QEMU is to find it. */
  readonly socket: string;
  readonly log: string;
}

export type QemuMachine = LabMachine<SettingsOf<typeof QEMU_MACHINE_SETTINGS>>;

/**
 * Returns the arguments that make the machine what it is: its machineinfo.json's, or those of its settings.
 *
 * @param disk the disk of this run; undefined when the machine has none
 * @param serial the first serial port: the socket to use it, and the file that gets what the machine writes there
 * @throws MachineryError for arguments that cannot be used
 */
export function getMachineArguments(machine: QemuMachine, disk: string | undefined, serial: SerialPlaces): string[] {
  const { settings, name } = machine.facts;
  const more = checkStartArguments(splitArguments(settings.args, name), `args of ${name}`, false);
  const base =
    settings.machineinfo_path === undefined
      ? [...describeMachine(machine, serial), ...(disk !== undefined && !hasDisk(more) ? DISK : [])]
      : readMachineInfo(settings.machineinfo_path);
  return fillPlaceholders([...base, ...more], {
    ...(disk === undefined ? {} : { DISPOSABLE_DISK_PATH: escapeOption(disk) }),
    MACHINE_NAME: escapeOption(name),
    MEMORY: settings.memory,
    CONSOLE_SOCKET: escapeOption(serial.socket),
    ...(machine.facts.macAddress === undefined ? {} : { MAC_ADDRESS: machine.facts.macAddress }),
    ...(machine.facts.interface === undefined ? {} : { INTERFACE: machine.facts.interface }),
  });
}

const CONSOLE = "lab-console";
const DISK = ["-drive", `file=${DISK_PLACEHOLDER},format=qcow2,if=virtio`];

function describeMachine({ facts }: QemuMachine, serial: SerialPlaces): string[] {
  const { kernel, initrd, append, memory, cpus, cpu } = facts.settings;
  const mac = facts.macAddress === undefined ? "" : `,mac=${facts.macAddress}`;
  const nic = facts.interface === undefined ? "none" : `bridge,br=${escapeOption(facts.interface)},model=e1000${mac}`;
  return [
    ...["-m", memory, "-smp", String(cpus), "-display", "none", "-nic", nic],
    ...[
      "-chardev",
      `socket,id=${CONSOLE},server=on,wait=off,path=${escapeOption(serial.socket)},logfile=${escapeOption(serial.log)}`,
    ],
    ...["-serial", `chardev:${CONSOLE}`],
    ...(cpu === undefined ? [] : ["-cpu", cpu]),
    ...(kernel === undefined ? [] : ["-kernel", kernel]),
    ...(initrd === undefined ? [] : ["-initrd", initrd]),
    ...(append === undefined ? [] : ["-append", append]),
  ];
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
