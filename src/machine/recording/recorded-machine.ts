import { join, resolve } from "node:path";
import { RecordingError } from "../errors";
import { type MachineOption, readParts, splitOptions, writeParts } from "./machine-options";
import { isDrive, planDrive, type RecordedDisk } from "./recorded-drives";
import { DEFAULT_NETWORK, isNetwork, planNetwork } from "./recorded-networks";
import { findSilentPorts, getConsolePort, isPort, planDefaultPorts, planPort } from "./recorded-ports";
import { refuseUnrecordable } from "./refused-options";

/** A file that the machine was made of: another content would be another machine. */
export interface MachineFile {
  /** The option that names it. */
  readonly role: string;
  /** Absolute. */
  readonly path: string;
}

/** The arguments that QEMU needs to record or replay a machine. */
export interface MachinePlan {
  /** QEMU's arguments; those of the disks' images come in front of them: createDisks(). */
  readonly args: readonly string[];
  readonly disks: readonly RecordedDisk[];
  readonly files: readonly MachineFile[];
}

export interface MachinePlaces {
  /** In which the relative paths of the arguments begin. */
  readonly cwd: string;
  /** Where the log is. */
  readonly log: string;
  readonly isReplay: boolean;
  /** In a replay, the file for the output of the first serial line. */
  readonly console?: string;
  /** In a replay: nothing goes to standard output. */
  readonly isMute?: boolean;
}

/** Instructions are 2 to the 4 nanoseconds each: near to what TCG executes, so that the guest's time goes like the host's. */
const DEFAULT_SHIFT = "4";
const FILES = ["-kernel", "-initrd", "-dtb", "-bios"];

/** The name of the log in the folder of a recording. */
export const LOG_NAME = "log";

/** The folder of an analysis' recording, below that of the analysis. */
export const ANALYSIS_RECORDING = "recording";

/** Returns the path of the log in the folder of a recording. */
export function getLogPath(folder: string): string {
  return join(folder, LOG_NAME);
}

/**
 * Plans a machine that is recorded or replayed, from the arguments that the user gave for it. The guest sees the same machine in
 * both, and in neither is anything of the host that the log does not have.
 *
 * @throws RecordingError for what cannot be recorded, by name, with the reason
 */
export function planMachine(given: readonly string[], places: MachinePlaces): MachinePlan {
  const options = splitOptions(given);
  const silent = findSilentPorts(options);
  for (const option of options) refuseUnrecordable(option, silent);
  const args: string[] = [];
  const disks: RecordedDisk[] = [];
  const files: MachineFile[] = [];
  let networks = 0;
  let drives = 0;
  let serials = 0;
  for (const option of options) {
    const { name, value } = option;
    if (name === "-icount") continue;
    if (isDrive(option)) {
      const { disk, file, args: words } = planDrive(option, drives++, places.cwd);
      if (disk) disks.push(disk);
      else if (file !== undefined) files.push({ role: name, path: file });
      args.push(...words);
    } else if (isNetwork(option)) {
      args.push(...planNetwork(option, networks++, places.isReplay));
    } else if (isPort(option)) {
      const console = name === "-serial" && serials++ === 0 ? places.console : undefined;
      args.push(...planPort(option, places.isReplay, console, places.isMute));
    } else if (FILES.includes(name)) {
      const path = resolve(places.cwd, value as string);
      files.push({ role: name, path });
      args.push(name, path);
    } else args.push(name, ...(value === undefined ? [] : [value]));
  }
  const has = (name: string) => options.some((option) => option.name === name);
  if (networks === 0 && !has("-nodefaults")) args.push(...planNetwork(DEFAULT_NETWORK, 0, places.isReplay));
  if (places.console !== undefined && serials === 0) {
    if (has("-nodefaults"))
      throw new RecordingError("--console needs a serial line, and the recorded machine has none");
    args.push("-serial", getConsolePort(places.console));
  }
  args.push(...planDefaultPorts(options, places));
  args.push("-icount", getIcount(options, places));
  return { args, disks, files };
}

function getIcount(options: readonly MachineOption[], { log, isReplay }: MachinePlaces): string {
  const given = options.filter(({ name }) => name === "-icount").flatMap(({ value = "" }) => readParts(value));
  const parts = given.map(([key, value]) => [key === "" ? "shift" : key, value] as const);
  const shift = parts.some(([key]) => key === "shift") ? [] : [["shift", DEFAULT_SHIFT] as const];
  return writeParts([...shift, ...parts, ["rr", isReplay ? "replay" : "record"], ["rrfile", log]]);
}
