import { readFileSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { config } from "../../../../config/schema/settings";
import type { SettingsOf } from "../../../../config/schema/settings-schema";
import { getBuiltFolder, getProjectFolder } from "../../../../config/folders";
import { ControlClient } from "../../../../shell/line/control-client";
import { MachineryConnectionError } from "../../../errors";
import type { MachineryCapabilities } from "../../machinery";
import type { LabMachine, MachineStatus } from "../../records/lab-machine";
import type { QemuMachine } from "../qemu/machine-arguments";
import { QEMU_MACHINE_SETTINGS, QEMU_SETTINGS } from "../qemu/qemu-settings";
import type { VmCommand } from "../qemu/machine-start";
import { QmpMachinery } from "../qemu/qmp-machinery";
import { shortenSocketPath, withSocketPath } from "../qemu/socket-path";

const PROJECT = getProjectFolder();

const SETTINGS = {
  ...QEMU_SETTINGS,
  qemu_img: config.filePath({ executable: true }).default(join(getBuiltFolder("qemu"), "qemu-img")),
};

const MACHINE_SETTINGS = {
  ...QEMU_MACHINE_SETTINGS,
  scripts: z.array(z.string()).default([]).describe("Scripts of rebox that are loaded before the guest runs."),
  config: config.filePath({ readable: true }).optional().describe("A pyrebox.conf for the machine."),
  investigations: z
    .array(z.string())
    .default([])
    .meta({ examples: [["fswatch"]], description: "Persistent modules of investigations that start with it." }),
  private_investigations: z
    .boolean()
    .default(false)
    .describe("yes: every answer of an investigation is masked, whoever asks."),
};

/** An engine of rebox is paused only from inside, and can only be resumed from there. */
const INSIDE = "a script or shell in its engine";

/** Machines in engines of rebox: a process for each, with scripts in it and a shell on its control socket. */
export class ReboxMachinery extends QmpMachinery<typeof SETTINGS, typeof MACHINE_SETTINGS> {
  override readonly name = "rebox";
  override readonly description = "Machines in engines of rebox, with introspection.";
  override readonly settings = SETTINGS;
  override readonly machineSettings = MACHINE_SETTINGS;
  override readonly needsAddress = false;
  override readonly labelKey = undefined;

  override get capabilities(): MachineryCapabilities {
    return { ...super.capabilities, introspection: true };
  }

  /**
   * Opens a shell that looks into the guest. The caller closes it.
   *
   * @throws MachineryConnectionError when the machine is not running
   */
  async openShell(machine: LabMachine): Promise<ControlClient> {
    try {
      return await withSocketPath(this.getControlSocket(machine), (path) => ControlClient.connect(path));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new MachineryConnectionError(`${machine.name} has no shell: ${reason}; start the machine first`);
    }
  }

  /** Returns where a machine's control socket is. */
  getControlSocket(machine: LabMachine): string {
    return join(this.process(machine as never).folder, "control.sock");
  }

  protected override mapRunState(machine: QemuMachine, runState: string): MachineStatus {
    const status = super.mapRunState(machine, runState);
    // Before its scripts are loaded.
    if (runState === "prelaunch") return { ...status, state: "starting" };
    return status.state === "paused" ? { ...status, pausedBy: machine.pausedBy ?? INSIDE } : status;
  }

  /** A script's last words are no reason for the end: rebox's own lines begin with its name. */
  protected override findReason(output: string): string | undefined {
    const own = output.split("\n").filter((line) => line.startsWith("rebox: "));
    return own.at(-1)?.slice("rebox: ".length);
  }

  protected override async identifyQemu(): Promise<string> {
    const folder = realpathSync(getBuiltFolder("qemu"));
    // The folder of a build is named by all that went into it; a package has the name in a file.
    const { build = basename(folder) } = JSON.parse(readFileSync(join(folder, "info.json"), "utf8")) as {
      build?: string;
    };
    return `rebox's QEMU ${build}`;
  }

  protected override getQemuImg(): string {
    return this.config.qemu_img;
  }

  override recordedStart(machine: QemuMachine, folder: string, signal: AbortSignal): Promise<void> {
    return this.startRecorded(machine, folder, signal);
  }

  protected override getCommand(
    machine: QemuMachine,
    qemuArgs: readonly string[],
    recording?: { readonly folder: string; readonly golden: string | undefined },
  ): VmCommand {
    const settings = machine.facts.settings as Partial<SettingsOf<typeof MACHINE_SETTINGS>>;
    const { folder } = this.process(machine);
    const control = shortenSocketPath(join(folder, "control.sock"), this.context.labFolder);
    return {
      program: process.execPath,
      args: [
        ...[join(PROJECT, "build/js/src/cli/main.js"), "run", "--control", control],
        ...["--json", join(folder, "events.jsonl")],
        ...(recording === undefined ? [] : ["--record", recording.folder]),
        ...(recording?.golden === undefined ? [] : ["--golden", recording.golden]),
        ...(settings.config === undefined ? [] : ["-c", settings.config]),
        ...(settings.scripts ?? []).flatMap((script) => ["--script", script]),
        ...(settings.investigations ?? []).flatMap((module) => ["--investigate", module]),
        ...(settings.private_investigations === true ? ["--private"] : []),
        "--",
        ...qemuArgs,
      ],
    };
  }
}
