import { RecordingError } from "../errors";
import { type MachineOption, readParts } from "./machine-options";

/** Options that connect the machine with something outside. */
const PORTS = ["-serial", "-parallel", "-debugcon", "-chardev"];
/** Options that let somebody outside steer the machine, look at its screen, or find its process. */
const CONTROLS = ["-monitor", "-qmp", "-vnc", "-gdb", "-s", "-pidfile"];

/** Whether an option connects the machine with something outside. */
export function isPort({ name }: MachineOption): boolean {
  return PORTS.includes(name) || CONTROLS.includes(name);
}

/** Finds the names of the ends that are nobody: a guest sees the same of them in each replay. */
export function findSilentPorts(options: readonly MachineOption[]): ReadonlySet<string> {
  const ports = options.filter(({ name }) => name === "-chardev").map(({ value = "" }) => readParts(value));
  const silent = ports.filter(([backend]) => backend?.[1] === "null");
  return new Set(silent.flatMap((parts) => parts.filter(([key]) => key === "id").map(([, id]) => id)));
}

/**
 * Plans the outside of a port. In a replay its input comes from the log, and its output goes to standard output where it went there,
 * else nowhere: files and sockets of the recording are left alone.
 *
 * @param console in a replay, the file for the output of the first serial line, if it is wanted
 * @param isMute in a replay, nothing goes to standard output
 * @throws RecordingError for a port that cannot be recorded
 */
export function planPort(
  { name, value = "" }: MachineOption,
  isReplay: boolean,
  console: string | undefined,
  isMute = false,
): string[] {
  const words = name === "-s" ? [name] : [name, value];
  if (/^\/dev\//.test(value) || /^(tty|serial|parallel|parport)(,|$)/.test(value)) {
    throw new RecordingError(
      `${name} ${value} cannot be recorded: it is a device of the host, which the guest sets up`,
    );
  }
  if (!isReplay) return words;
  if (name === "-monitor") return [name, "none"];
  if (name === "-vnc") return ["-display", "none"];
  if (CONTROLS.includes(name)) return [];
  if (name === "-chardev") {
    const parts = readParts(value);
    const id = parts.find(([key]) => key === "id")?.[1] ?? "";
    return parts[0]?.[1] === "stdio" && !isMute ? words : [name, `null,id=${id}`];
  }
  if (name === "-serial" && console !== undefined) return [name, getConsolePort(console)];
  return /^(none|null|chardev:.*)$/.test(value) || (value === "stdio" && !isMute) ? words : [name, "null"];
}

/**
 * Plans the ports that QEMU gives a machine of -nographic by itself, on standard output: its first serial line, and a monitor
 * (qemu_create_default_devices() in system/vl.c of QEMU 10.0). A replay that is mute, or has its console in a file, has nobody at their
 * other end; the guest sees the same devices.
 */
export function planDefaultPorts(
  options: readonly MachineOption[],
  { isReplay, isMute, console }: { readonly isReplay: boolean; readonly isMute?: boolean; readonly console?: string },
): string[] {
  const has = (name: string) => options.some((option) => option.name === name);
  if (!isReplay || (isMute !== true && console === undefined)) return [];
  if (!has("-nographic") || has("-nodefaults")) return [];
  // The console's own -serial is there already.
  const serial = has("-serial") || console !== undefined || hasOtherSerial(options) ? [] : ["-serial", "null"];
  return [...serial, ...(has("-monitor") ? [] : ["-monitor", "none"])];
}

/** Whether QEMU leaves the default serial line out, because an option speaks of such a device. */
function hasOtherSerial(options: readonly MachineOption[]): boolean {
  return options.some(({ name, value = "" }) => name === "-global" && /^(driver=)?isa-serial\b/.test(value));
}

/** Returns the port that writes into a file. */
export function getConsolePort(file: string): string {
  return `file:${file.replaceAll(",", ",,")}`;
}
