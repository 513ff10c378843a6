import { existsSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { Duplex } from "node:stream";
import type { SettingsOf, SettingsSchema } from "../../../../config/schema/settings-schema";
import {
  GoldenStateError,
  MachineryConnectionError,
  MachineryUnhandledStateError,
  MachineStateReachedError,
  MachineUnexpectedStateError,
  NotSupportedError,
} from "../../../errors";
import { Machinery } from "../../machinery";
import { readProcessorTimeMs } from "../../processes/process-identity";
import { runProgram } from "../../processes/run-program";
import { checkTarget } from "../../processes/target-file";
import { VmProcess } from "../../processes/vm-process";
import type { MachineStatus } from "../../records/lab-machine";
import {
  compareOrigins,
  findIdentity,
  GoldenFiles,
  type GoldenOrigin,
  type GoldenState,
} from "../../golden/golden-state";
import { findGoldenState } from "../../golden/choose-golden-state";
import { freeze, punchHoles } from "./golden-start";
import { callGuestAgent } from "./guest-agent-socket";
import { insertDisc, removeDisc, removeDisk } from "./machine-disks";
import { findMemoryFormat } from "./memory-snapshot";
import { getMachineArguments, type QemuMachine } from "./machine-arguments";
import { typeKeys } from "./type-keys";
import { type QEMU_MACHINE_SETTINGS, type QEMU_SETTINGS } from "./qemu-settings";
import { findForwardedPort, isAgentForwarded } from "./network-arguments";
import { END_LIMIT_MS, startMachine, type StartState, type VmCommand } from "./machine-start";
import { ANSWER_LIMIT_MS, withQmp } from "./qmp-client";
import { RUN_STATES } from "./run-states";
import { openSocket, withSocketPath } from "./socket-path";

/** The time that QEMU gets for closing its disks before it is killed. */
const QUIT_LIMIT_MS = 2_000;
/** Writing a machine's memory to a disk. */
const DUMP_LIMIT_MS = 600_000;
const PROGRAM_LIMIT_MS = 15_000;
/** Machines that are each a process of QEMU of their own, which is driven by QMP. */
export abstract class QmpMachinery<
  Settings extends SettingsSchema & typeof QEMU_SETTINGS,
  MachineSettings extends SettingsSchema & typeof QEMU_MACHINE_SETTINGS,
> extends Machinery<Settings, MachineSettings> {
  override readonly startsAtOnce = true;
  override readonly uniqueSettings = ["qcow2_path", "snapshot_path"];

  /**
   * Returns the program of a machine, with QEMU's arguments for it.
   *
   * @param recording the folder in which the run is recorded, if it is, and that of the golden state that it begins from, if it does
   */
  protected abstract getCommand(
    machine: QemuMachine,
    qemuArgs: readonly string[],
    recording?: { readonly folder: string; readonly golden: string | undefined },
  ): VmCommand;

  /** Returns the path of qemu-img. */
  protected abstract getQemuImg(): string;

  /** Returns what tells one QEMU from another: a golden state can be used by the one alone that has made it. */
  protected abstract identifyQemu(machine: QemuMachine, signal: AbortSignal): Promise<string>;

  override async verifyDependencies(signal: AbortSignal): Promise<void> {
    const options = { signal, timeoutMs: PROGRAM_LIMIT_MS, packageName: "qemu-utils" };
    await runProgram(this.getQemuImg(), ["--version"], options);
    const files = this.context.configured.map(({ settings }) => settings.snapshot_path as string | undefined);
    for (const file of files.filter((path) => path !== undefined)) {
      // A file that is no snapshot is the fault of its machine, whose start says so; the others can be used.
      const format = findMemoryFormat(file);
      if (format === undefined) continue;
      await runProgram(format.reader[0], ["--version"], { ...options, packageName: format.packageName });
    }
  }

  async restoreStart(machine: QemuMachine, signal: AbortSignal): Promise<void> {
    const golden = findGoldenState(this.context.labFolder, machine.facts);
    if (golden === undefined) return this.#start(machine, { kind: "snapshot" }, signal);
    await this.#checkGolden(machine, golden, signal);
    await this.#start(machine, { kind: "golden", files: golden.files }, signal);
  }

  override async norestoreStart(machine: QemuMachine, signal: AbortSignal): Promise<void> {
    await this.#start(machine, { kind: "fresh" }, signal);
  }

  /** Starts a machine from its golden state, or its disk where it has none, by a program that records the run. */
  protected async startRecorded(machine: QemuMachine, folder: string, signal: AbortSignal): Promise<void> {
    const golden = findGoldenState(this.context.labFolder, machine.facts);
    if (golden !== undefined) await this.#checkGolden(machine, golden, signal);
    await this.#start(machine, { kind: "recorded", folder, golden: golden?.files }, signal);
  }

  override async startToFreeze(machine: QemuMachine, folder: string, signal: AbortSignal): Promise<void> {
    await this.#start(machine, { kind: "making", files: new GoldenFiles(folder) }, signal);
  }

  override async freeze(machine: QemuMachine, folder: string, signal: AbortSignal): Promise<void> {
    const files = new GoldenFiles(folder);
    const execute = (command: string, args = {}) => this.qmp(machine, command, args, signal);
    await freeze(execute, files, signal);
    await this.#end(machine, signal);
    rmSync(files.start, { force: true });
    await punchHoles(files, signal);
  }

  override async getGoldenOrigin(machine: QemuMachine, signal: AbortSignal): Promise<GoldenOrigin> {
    const { qcow2_path: disk, kernel, initrd, machineinfo_path: info } = machine.facts.settings;
    const files = [disk, kernel, initrd, info].filter((path) => path !== undefined);
    return {
      qemu: await this.identifyQemu(machine, signal),
      args: getMachineArguments(machine, disk && "<DISK>", { socket: "<SOCKET>", log: "<LOG>", agent: "<AGENT>" }),
      inputs: files.flatMap((path) => findIdentity(path) ?? []),
    };
  }

  async stop(machine: QemuMachine, signal: AbortSignal): Promise<void> {
    const isOff = this.process(machine).find() === undefined;
    await this.#end(machine, signal);
    if (isOff) throw new MachineStateReachedError(`${machine.name} is off already`);
  }

  async #end(machine: QemuMachine, signal: AbortSignal): Promise<void> {
    const vm = this.process(machine);
    if (vm.find() !== undefined) {
      try {
        await this.qmp(machine, "quit", {}, signal, QUIT_LIMIT_MS, QUIT_LIMIT_MS);
      } catch {
        // It may end before it answers, or not answer at all: it is killed below.
      }
      if (!(await vm.waitForEnd(QUIT_LIMIT_MS))) await vm.kill();
    }
    this.#clean(machine);
  }

  override async acpiStop(machine: QemuMachine, signal: AbortSignal): Promise<void> {
    if (this.process(machine).find() === undefined)
      throw new MachineStateReachedError(`${machine.name} is off already`);
    await this.qmp(machine, "system_powerdown", {}, signal);
  }

  async state(machine: QemuMachine, signal: AbortSignal): Promise<MachineStatus> {
    const vm = this.process(machine);
    if (vm.find() === undefined) return this.#whenOff(machine);
    try {
      const { status } = (await this.qmp(machine, "query-status", {}, signal)) as { readonly status: string };
      return this.mapRunState(machine, status);
    } catch (error) {
      // A machine that ends closes its socket before its process is gone.
      const isOver = error instanceof MachineryConnectionError && (await vm.waitForEnd(END_LIMIT_MS));
      if (isOver) return this.#whenOff(machine);
      throw error;
    }
  }

  /** Says what one of QEMU's run states is here. @throws MachineryUnhandledStateError */
  protected mapRunState(machine: QemuMachine, runState: string): MachineStatus {
    const state = RUN_STATES[runState];
    if (state === undefined) {
      throw new MachineryUnhandledStateError(
        `${machine.name}: QEMU tells of the run state ${runState}, which is new here`,
      );
    }
    return { state, reason: runState };
  }

  override async handlePaused(machine: QemuMachine, signal: AbortSignal): Promise<void> {
    await this.qmp(machine, "cont", {}, signal);
  }

  override async pause(machine: QemuMachine, signal: AbortSignal): Promise<void> {
    await this.qmp(machine, "stop", {}, signal);
  }

  override async dumpMemory(machine: QemuMachine, path: string, signal: AbortSignal): Promise<void> {
    const args = { paging: false, protocol: `file:${checkTarget(path)}` };
    await this.#write(machine, path, () => this.qmp(machine, "dump-guest-memory", args, signal, DUMP_LIMIT_MS));
  }

  override async screenshot(machine: QemuMachine, path: string, signal: AbortSignal): Promise<void> {
    const args = { filename: checkTarget(path), format: "png" };
    await this.#write(machine, path, () => this.qmp(machine, "screendump", args, signal));
  }

  override async openConsole(machine: QemuMachine, signal: AbortSignal): Promise<Duplex> {
    const { consoleSocket } = this.process(machine);
    if (!existsSync(consoleSocket)) {
      throw new NotSupportedError(
        `${machine.name} has no serial console: its start arguments need "-serial", "unix:%CONSOLE_SOCKET%,server=on,wait=off"`,
      );
    }
    return openSocket(consoleSocket, `${machine.name}: its serial console`, signal);
  }

  override async isConsoleTaken(machine: QemuMachine, signal: AbortSignal): Promise<boolean> {
    const devices = (await this.qmp(machine, "query-chardev", {}, signal)) as readonly { readonly filename: string }[];
    // A socket that nobody is connected to says so: qemu_chr_compute_filename() of chardev/char-socket.c.
    const own = devices.find(({ filename }) => filename.includes(basename(this.process(machine).consoleSocket)));
    return own !== undefined && !own.filename.startsWith("disconnected:");
  }

  override findConsoleLog(machine: QemuMachine): string | undefined {
    const { consoleLog } = this.process(machine);
    return existsSync(consoleLog) ? consoleLog : undefined;
  }

  override async openScreen(machine: QemuMachine, signal: AbortSignal): Promise<Duplex> {
    const { screenSocket } = this.process(machine);
    if (!existsSync(screenSocket)) {
      throw new NotSupportedError(
        `${machine.name} has no screen that can be watched: it is off, its setting screen is no, or its arguments have a -vnc of their own`,
      );
    }
    return openSocket(screenSocket, `${machine.name}: its screen`, signal);
  }

  override async insertDisc(machine: QemuMachine, path: string, signal: AbortSignal): Promise<void> {
    await insertDisc((command, args) => this.qmp(machine, command, args, signal), path);
  }

  override async removeDisc(machine: QemuMachine, signal: AbortSignal): Promise<void> {
    await removeDisc((command, args) => this.qmp(machine, command, args, signal), signal);
  }

  override async typeKeys(
    machine: QemuMachine,
    keys: readonly (readonly string[])[],
    signal: AbortSignal,
  ): Promise<void> {
    await withQmp(this.process(machine), signal, ANSWER_LIMIT_MS, (client) =>
      typeKeys((command, args = {}) => client.execute(command, args, ANSWER_LIMIT_MS, signal), keys, signal),
    );
  }

  override async callGuestAgent(
    machine: QemuMachine,
    command: string,
    args: object,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<unknown> {
    const { guestAgentSocket } = this.process(machine);
    if (!existsSync(guestAgentSocket) && this.process(machine).find() !== undefined) {
      throw new NotSupportedError(
        `${machine.name} has no port for QEMU's guest agent: set guest_agent to yes, and start it anew`,
      );
    }
    return withSocketPath(guestAgentSocket, (path) => callGuestAgent(path, command, args, limitMs, signal));
  }

  override async findAgentPort(machine: QemuMachine, signal: AbortSignal): Promise<number | undefined> {
    if (!isAgentForwarded(machine)) return undefined;
    const args = { "command-line": "info usernet" };
    const shown = (await this.qmp(machine, "human-monitor-command", args, signal)) as string;
    return findForwardedPort(shown, machine.facts.agentPort);
  }

  override async getProcessorTimeMs(machine: QemuMachine): Promise<number | undefined> {
    const identity = this.process(machine).find();
    return identity && readProcessorTimeMs(identity.pid);
  }

  override async findFailure(machine: QemuMachine): Promise<string | undefined> {
    const vm = this.process(machine);
    await vm.waitForExit(END_LIMIT_MS);
    const { lastEnd, output } = vm;
    if (lastEnd === undefined || lastEnd === "0") return undefined;
    return `its process ended with ${lastEnd}${output === "" ? "" : `: ${output}`}`;
  }

  override async version(signal: AbortSignal): Promise<string> {
    const options = { signal, timeoutMs: PROGRAM_LIMIT_MS, packageName: "qemu-utils" };
    return parseVersion(await runProgram(this.getQemuImg(), ["--version"], options));
  }

  /** Returns the process of a machine. */
  protected process(machine: QemuMachine): VmProcess {
    return new VmProcess(this.context.getFolder(machine as never));
  }

  /** Executes one QMP command on a connection of its own: QEMU serves one at a time, and others want to be served too. */
  protected async qmp(
    machine: QemuMachine,
    command: string,
    args: object,
    signal: AbortSignal,
    limitMs = ANSWER_LIMIT_MS,
    connectMs = ANSWER_LIMIT_MS,
  ): Promise<unknown> {
    return withQmp(this.process(machine), signal, connectMs, (client) =>
      client.execute(command, args, limitMs, signal),
    );
  }

  async #start(machine: QemuMachine, start: StartState, signal: AbortSignal): Promise<void> {
    const vm = this.process(machine);
    if (vm.find() !== undefined) {
      throw new MachineUnexpectedStateError(
        `${machine.name} cannot be started: trying to start a virtual machine that has not been turned off; stop it first`,
      );
    }
    this.#clean(machine);
    await startMachine({
      ...{ machine, vm, start, signal, labFolder: this.context.labFolder },
      ...{ disk: this.#diskOf(machine), qemuImg: this.getQemuImg() },
      getCommand: (qemuArgs) =>
        this.getCommand(
          machine,
          qemuArgs,
          start.kind === "recorded" ? { folder: start.folder, golden: start.golden?.folder } : undefined,
        ),
      log: (text) => this.context.log(text),
    });
  }

  async #checkGolden(machine: QemuMachine, golden: GoldenState, signal: AbortSignal): Promise<void> {
    const now = await this.getGoldenOrigin(machine, signal);
    const problems = [...(await golden.findDamage()), ...compareOrigins(golden.manifest.origin, now)];
    if (problems.length === 0) return;
    const base = machine.facts.cloneOf ?? machine.name;
    const advice =
      `make it anew: rebox machine prepare ${base} --as ${golden.name} --replace; ` +
      `or start without it: rebox machine start ${base} --no-restore`;
    throw new GoldenStateError(
      `the golden state ${golden.name} of ${base} cannot be used: ${problems.join("; ")}; ${advice}`,
    );
  }

  #diskOf(machine: QemuMachine): string {
    const { disposable_copy_dir: folder } = this.config as SettingsOf<typeof QEMU_SETTINGS>;
    return join(folder ?? this.context.getFolder(machine as never), `${machine.name}_disposable.qcow2`);
  }

  /** A machine may go off by itself: the first to see it removes the files of its run. */
  #whenOff(machine: QemuMachine): MachineStatus {
    const vm = this.process(machine);
    const { output } = vm;
    // Somebody else may be starting it now: the files there belong to that start then.
    if (vm.claimEnd()) this.#clean(machine);
    return { state: "poweroff", reason: this.findReason(output) };
  }

  /** Finds in what a process that has ended wrote last why it ended; undefined when nothing says so. */
  protected findReason(output: string): string | undefined {
    return output === "" ? undefined : output;
  }

  #clean(machine: QemuMachine): void {
    this.process(machine).clean();
    removeDisk(this.#diskOf(machine));
  }

  async #write(machine: QemuMachine, path: string, write: () => Promise<unknown>): Promise<void> {
    if (this.process(machine).find() === undefined) {
      throw new MachineUnexpectedStateError(`${machine.name} is off: there is nothing to write to ${path}`);
    }
    try {
      await write();
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
  }
}

/** Returns the version in what a program of QEMU prints for --version; "" when there is none. */
export function parseVersion(text: string): string {
  return /\bversion (\d+(?:\.\d+)+)/.exec(text)?.[1] ?? "";
}
