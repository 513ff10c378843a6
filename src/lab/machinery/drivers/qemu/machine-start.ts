import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MachineryConnectionError, MachineryError } from "../../../errors";
import type { GoldenFiles } from "../../golden/golden-state";
import type { VmProcess } from "../../processes/vm-process";
import {
  type Execute,
  getCloneDevices,
  getRamArguments,
  getRamSize,
  reserveRam,
  thaw,
  THAW_ARGUMENTS,
} from "./golden-start";
import { getMachineArguments, type QemuMachine } from "./machine-arguments";
import { copyImage, makeOverlay } from "./machine-disks";
import { getIncomingArguments, getMemoryFormat } from "./memory-snapshot";
import { connectNetwork } from "./network-arguments";
import { ANSWER_LIMIT_MS, withQmp } from "./qmp-client";
import { shortenSocketPath } from "./socket-path";
import { escapeOption } from "./start-arguments";

/** From the start of the process to QMP's greeting. */
const BOOT_LIMIT_MS = 60_000;
/** From the end of QMP's connection to that of the process, when a machine goes off by itself. */
export const END_LIMIT_MS = 10_000;
/** Between two looks at a machine that starts: it takes some hundred milliseconds. */
const POLL_MS = 10;

/** The program that runs a machine, and its arguments. */
export interface VmCommand {
  readonly program: string;
  readonly args: readonly string[];
}

/** The state that a machine starts from. */
export type StartState =
  | { readonly kind: "fresh" | "snapshot" }
  /** `making`: fresh, and to be frozen into these files; `golden`: from these files, which are only read. */
  | { readonly kind: "making" | "golden"; readonly files: GoldenFiles }
  /** Recorded into this folder: fresh, or from a golden state. */
  | { readonly kind: "recorded"; readonly folder: string; readonly golden: GoldenFiles | undefined };

/** Returns the disc of a recorded machine: it is there from the beginning, since nothing can be plugged in while it is recorded. */
export function getRecordedDisc(folder: string): string {
  return `${folder}.disc`;
}

/** Returns the file with the devices that a machine is thawed with; undefined when it boots. */
function findFrozenDevices(start: StartState): string | undefined {
  if (start.kind === "golden") return start.files.devices;
  return start.kind === "making" && existsSync(start.files.start) ? start.files.start : undefined;
}

/** A machine that is off, and all that its start needs. */
export interface MachineStart {
  readonly machine: QemuMachine;
  readonly vm: VmProcess;
  readonly start: StartState;
  readonly labFolder: string;
  /** The path that the disk of this run gets. */
  readonly disk: string;
  readonly qemuImg: string;
  readonly signal: AbortSignal;
  /** Returns the program of the machine, with QEMU's arguments for it. */
  getCommand(qemuArgs: readonly string[]): VmCommand;
  log(text: string): void;
}

/**
 * Starts a machine from a state, until it runs.
 *
 * @throws MachineryError when QEMU ends at once, with what it says
 */
export async function startMachine(machineStart: MachineStart): Promise<void> {
  const { machine, vm, start, labFolder, signal, log } = machineStart;
  const disk = await makeDisk(machineStart);
  const isRecorded = start.kind === "recorded";
  const ports = {
    socket: shortenSocketPath(vm.consoleSocket, labFolder),
    log: vm.consoleLog,
    // QEMU's recorder cannot order what comes by it: it leads nowhere.
    agent: isRecorded ? undefined : shortenSocketPath(vm.guestAgentSocket, labFolder),
  };
  const own = getMachineArguments(machine, disk, ports);
  const socket = escapeOption(shortenSocketPath(vm.qmpSocket, labFolder));
  const network = connectNetwork(machine, (text) => log(text), isRecorded);
  const qemuArgs = [
    ...["-qmp", `unix:${socket},server=on,wait=off`, "-monitor", "none"],
    ...["-pidfile", shortenSocketPath(vm.pidFile, labFolder)],
    ...(await getStartArguments(machine, start, own, signal)),
    ...getScreenArguments(machine, vm, labFolder, own),
    ...network.args,
    ...own,
  ];
  const { program, args } = network.wrap(machineStart.getCommand(qemuArgs));
  await vm.start(program, args, labFolder);
  await waitForQmp(machine, vm, signal);
  const devices = findFrozenDevices(start);
  if (devices === undefined && start.kind !== "snapshot") return;
  try {
    await withQmp(vm, signal, ANSWER_LIMIT_MS, async (client) => {
      const execute: Execute = (command, args = {}) => client.execute(command, args, ANSWER_LIMIT_MS, signal);
      if (devices !== undefined) await thaw(execute, devices, signal);
      await letGo(execute, () => vm.find() !== undefined, signal);
    });
  } catch (error) {
    // It may end at any moment, by a script that does not load: the caller finds out why it is gone.
    const isOver = error instanceof MachineryConnectionError && (await vm.waitForEnd(END_LIMIT_MS));
    if (!isOver) throw error;
  }
}

/**
 * Returns the arguments of the machine's screen: a socket of its own folder that viewers may share. Nobody looks most of the time, and
 * then the screen is not even drawn. It belongs to the start, and not to what the machine is: a golden state fits with and without it.
 */
function getScreenArguments(
  { facts }: QemuMachine,
  vm: VmProcess,
  labFolder: string,
  own: readonly string[],
): readonly string[] {
  const hasOwn = own.some((arg) => /^--?(vnc|nographic)$/.test(arg));
  if (!facts.settings.screen || hasOwn) return [];
  return ["-vnc", `unix:${escapeOption(shortenSocketPath(vm.screenSocket, labFolder))},share=force-shared`];
}

/** Returns the arguments that say from which state the machine starts. */
async function getStartArguments(machine: QemuMachine, start: StartState, own: readonly string[], signal: AbortSignal) {
  const { snapshot, settings } = machine.facts;
  const { snapshot_path: memory } = settings;
  switch (start.kind) {
    case "fresh":
      return [];
    case "recorded": {
      const disc = getRecordedDisc(start.folder);
      // The recorder adds the state itself, and every replay is the same clone.
      const clone = start.golden === undefined ? [] : getCloneDevices(own, randomUUID());
      return [...clone, ...(existsSync(disc) ? ["-cdrom", disc] : [])];
    }
    case "snapshot":
      if (memory !== undefined) return getIncomingArguments(getMemoryFormat(memory), memory);
      return snapshot === undefined ? [] : ["-loadvm", snapshot];
    case "making":
    case "golden": {
      const isMade = start.kind === "making";
      const isThawed = findFrozenDevices(start) !== undefined;
      if (!isThawed) await reserveRam(start.files, getRamSize(own), signal);
      return [
        ...[...getRamArguments(start.files, getRamSize(own), isMade), ...getCloneDevices(own)],
        ...(isThawed ? THAW_ARGUMENTS : []),
      ];
    }
  }
}

/** Waits until QEMU answers. @throws MachineryError when it ends instead */
async function waitForQmp(machine: QemuMachine, vm: VmProcess, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + BOOT_LIMIT_MS;
  for (;;) {
    signal.throwIfAborted();
    if (vm.find() === undefined) throw new MachineryError(`${machine.name}: QEMU ended at once: ${vm.output}`);
    if (existsSync(vm.qmpSocket)) {
      try {
        return await withQmp(vm, signal, ANSWER_LIMIT_MS, async (client) => {
          await client.execute("query-status", {}, ANSWER_LIMIT_MS, signal);
        });
      } catch (error) {
        // The socket is bound before it is listened on.
        if (performance.now() > endMs) throw error;
      }
    }
    if (performance.now() > endMs) {
      throw new MachineryConnectionError(
        `${machine.name}: QEMU has not opened QMP within ${BOOT_LIMIT_MS / 1000} s: ${vm.output || "it says nothing"}`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** Makes the disk of a run over the one that its machine names, and returns its path; undefined for a machine without a disk. */
async function makeDisk({ machine, start, signal, qemuImg, disk: ownDisk }: MachineStart): Promise<string | undefined> {
  const { qcow2_path: image } = machine.facts.settings;
  if (image === undefined) return undefined;
  // The recorder lays its own over it, which is kept with the recording.
  if (start.kind === "recorded") return start.golden?.disk ?? image;
  const disk = start.kind === "making" ? start.files.disk : ownDisk;
  const tools = { qemuImg, signal };
  if (start.kind === "golden") await makeOverlay(start.files.disk, disk, tools);
  // It is there already when the state is made from another one.
  else if (start.kind === "making" && findFrozenDevices(start) !== undefined) return disk;
  else if (start.kind === "snapshot" && machine.facts.snapshot !== undefined) copyImage(image, disk);
  else await makeOverlay(image, disk, tools);
  return disk;
}

/** Resumes a machine whose state was saved while it was paused: nobody holds it. */
async function letGo(execute: Execute, isThere: () => boolean, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + BOOT_LIMIT_MS;
  for (;;) {
    signal.throwIfAborted();
    // The caller finds out why it is gone.
    if (!isThere()) return;
    const { status } = (await execute("query-status")) as { readonly status: string };
    if (status === "paused") return void (await execute("cont"));
    const comesUp = status === "inmigrate" || status === "restore-vm" || status === "prelaunch";
    if (!comesUp || performance.now() > endMs) return;
    await sleep(POLL_MS);
  }
}
