import { z } from "zod";
import { config } from "../../../../config/schema/settings";
import { MachineryDependencyError, MachineryError } from "../../../errors";
import { runProgram } from "../../processes/run-program";
import type { QemuMachine } from "./machine-arguments";
import { QEMU_MACHINE_SETTINGS, QEMU_SETTINGS } from "./qemu-settings";
import type { VmCommand } from "./machine-start";
import { parseVersion, QmpMachinery } from "./qmp-machinery";

const SETTINGS = {
  path: config
    .filePath({ executable: true })
    .optional()
    .describe("The QEMU that runs the machines, whatever their architecture."),
  ...QEMU_SETTINGS,
  binaries: z
    .object({
      qemu_img: config.filePath({ executable: true }).default("/usr/bin/qemu-img").describe("Makes the disks of runs."),
      qemu_system_x86_64: config
        .filePath({ executable: true })
        .default("/usr/bin/qemu-system-x86_64")
        .describe("Runs machines of the architectures x64 and x86."),
    })
    .describe("The programs of QEMU."),
};

const MACHINE_SETTINGS = {
  ...QEMU_MACHINE_SETTINGS,
  enable_kvm: z.boolean().default(false).describe("Let this host's processor run the guest."),
};

/** The architectures that binaries.qemu_system_x86_64 can run. */
const X86 = ["x64", "x86", undefined];
const VERSION_LIMIT_MS = 15_000;

/** Machines in processes of an ordinary QEMU. */
export class QemuMachinery extends QmpMachinery<typeof SETTINGS, typeof MACHINE_SETTINGS> {
  override readonly name = "qemu";
  override readonly description = "Machines in processes of QEMU, driven by QMP.";
  override readonly settings = SETTINGS;
  override readonly machineSettings = MACHINE_SETTINGS;

  override async verifyDependencies(signal: AbortSignal): Promise<void> {
    await super.verifyDependencies(signal);
    const usable = this.context.configured.filter((machine) => this.findRefusal(machine) === undefined);
    const programs = usable.map(({ architecture, name }) => this.#getProgram(architecture, name));
    for (const program of new Set(programs)) await this.#run(program, signal);
  }

  override findRefusal({ architecture }: Pick<QemuMachine["facts"], "architecture">): string | undefined {
    if (this.config.path !== undefined || X86.includes(architecture)) return undefined;
    return `its architecture ${architecture} needs another QEMU than qemu-system-x86_64 (x64, x86); name it by "path"`;
  }

  override async version(signal: AbortSignal): Promise<string> {
    return parseVersion(await this.#run(this.config.path ?? this.config.binaries.qemu_system_x86_64, signal));
  }

  protected override async identifyQemu({ facts }: QemuMachine, signal: AbortSignal): Promise<string> {
    const program = this.#getProgram(facts.architecture, facts.name);
    return `${program}, ${(await this.#run(program, signal)).split("\n")[0]!}`;
  }

  protected override getQemuImg(): string {
    return this.config.binaries.qemu_img;
  }

  protected override getCommand(machine: QemuMachine, qemuArgs: readonly string[]): VmCommand {
    const { architecture, name, settings } = machine.facts;
    const { enable_kvm: usesKvm } = settings as { readonly enable_kvm?: boolean };
    return {
      program: this.#getProgram(architecture, name),
      args: ["-name", name, ...(usesKvm === true ? ["-enable-kvm"] : []), ...qemuArgs],
    };
  }

  #getProgram(architecture: string | undefined, name: string): string {
    const refusal = this.findRefusal({ architecture });
    if (refusal !== undefined) throw new MachineryError(`${name}: ${refusal}`);
    return this.config.path ?? this.config.binaries.qemu_system_x86_64;
  }

  async #run(program: string, signal: AbortSignal): Promise<string> {
    const options = { signal, timeoutMs: VERSION_LIMIT_MS, packageName: "qemu-system-x86" };
    const text = await runProgram(program, ["--version"], options);
    if (!text.includes("QEMU"))
      throw new MachineryDependencyError(`${program} is no QEMU: it says ${text.slice(0, 80)}`);
    return text;
  }
}
