import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { z } from "zod";
import type { SettingsSchema } from "../../../../config/schema/settings-schema";
import {
  GuestAgentError,
  MachineryConnectionError,
  MachineryDependencyError,
  MachineryError,
  MachineryUnhandledStateError,
  MachineStateReachedError,
  MachineUnexpectedStateError,
  NotSupportedError,
  ProgramError,
} from "../../../errors";
import { Machinery } from "../../machinery";
import { checkTarget } from "../../processes/target-file";
import type { LabMachine, MachineStatus } from "../../records/lab-machine";
import { chooseSnapshot, listSnapshots } from "./choose-snapshot";
import { type DomainState, parseDomainState } from "./domain-states";
import { parseVirshVersion, supportsUri, Virsh } from "./virsh";

/** libvirt 0.8.0 is the first with snapshots. */
const OLDEST = [0, 8, 0];
const REVERT_LIMIT_MS = 170_000;
/** A snapshot holds the machine's RAM. */
const SNAPSHOT_LIMIT_MS = 600_000;
const DUMP_LIMIT_MS = 600_000;
/** Starting virsh on a busy host. */
const AGENT_SLACK_MS = 15_000;
const PNG_MAGIC = "89504e47";

/** Machines that libvirt runs, by its command line virsh. A module for another hypervisor only says where: its dsn. */
export abstract class LibVirtMachinery<
  Settings extends SettingsSchema = SettingsSchema,
  MachineSettings extends SettingsSchema = SettingsSchema,
> extends Machinery<Settings, MachineSettings> {
  /** The connection's URI: "qemu:///system". */
  abstract readonly dsn: string;
  override readonly startsAtOnce = true;

  override async verifyDependencies(signal: AbortSignal): Promise<void> {
    const { dsn, name } = this;
    if (typeof dsn !== "string" || dsn === "") {
      throw new MachineryError(`${name}: You must provide a proper connection string: dsn = "qemu:///system"`);
    }
    const version = parseVirshVersion(await Virsh.readVersion(signal));
    if (isOlder(version.version)) {
      throw new MachineryDependencyError(`virsh is of libvirt ${version.version}; 0.8.0 or later is needed`);
    }
    if (supportsUri(version, dsn)) return;
    const known = version.hypervisors.join(" ") || "none";
    throw new MachineryDependencyError(
      `this virsh was not compiled for ${dsn}; virsh -V says Hypervisors: ${known}; install another libvirt`,
    );
  }

  /** Checks that libvirt answers. */
  override async init(signal: AbortSignal): Promise<void> {
    await this.#virsh.run(["uri"], signal);
  }

  async restoreStart(machine: LabMachine, signal: AbortSignal): Promise<void> {
    await this.#checkIsOff(machine, signal);
    const { label, facts } = machine;
    const snapshot = await chooseSnapshot(this.#virsh, label, facts.snapshot, signal);
    const args = ["snapshot-revert", `--domain=${label}`, `--snapshotname=${snapshot}`];
    await this.#virsh.run(args, signal, REVERT_LIMIT_MS);
  }

  override async norestoreStart(machine: LabMachine, signal: AbortSignal): Promise<void> {
    await this.#checkIsOff(machine, signal);
    await this.#domain("start", machine, signal, [], REVERT_LIMIT_MS);
  }

  async stop(machine: LabMachine, signal: AbortSignal): Promise<void> {
    if ((await this.#read(machine, signal)).state === "poweroff") {
      throw new MachineStateReachedError(`${machine.name}: trying to stop an already stopped machine`);
    }
    await this.#domain("destroy", machine, signal);
  }

  override async acpiStop(machine: LabMachine, signal: AbortSignal): Promise<void> {
    if ((await this.#read(machine, signal)).state === "poweroff") {
      throw new MachineStateReachedError(`${machine.name} is off already`);
    }
    await this.#domain("shutdown", machine, signal);
  }

  async state(machine: LabMachine, signal: AbortSignal): Promise<MachineStatus> {
    const { state, reason, isHeld } = await this.#read(machine, signal);
    return { state, reason, ...(isHeld ? { pausedBy: machine.pausedBy ?? `libvirt (${reason})` } : {}) };
  }

  override async handlePaused(machine: LabMachine, signal: AbortSignal): Promise<void> {
    await this.#domain("resume", machine, signal);
  }

  override async pause(machine: LabMachine, signal: AbortSignal): Promise<void> {
    await this.#domain("suspend", machine, signal);
  }

  override async dumpMemory(machine: LabMachine, path: string, signal: AbortSignal): Promise<void> {
    const target = checkTarget(path);
    const dump = () => this.#domain("dump", machine, signal, [`--file=${target}`, "--memory-only"], DUMP_LIMIT_MS);
    try {
      // Made by us, so that it stays ours: a daemon of root's would make one that only root can read.
      writeFileSync(target, "", { flag: "wx", mode: 0o600 });
      try {
        await dump();
      } catch (error) {
        if (!(error instanceof ProgramError) || !/[Pp]ermission denied/.test(error.message)) throw error;
        // A daemon of another user's cannot write what is ours.
        rmSync(target, { force: true });
        await dump();
      }
      if (statSync(target).size === 0) throw new MachineryError(`libvirt has written nothing to ${target}`);
    } catch (error) {
      rmSync(target, { force: true });
      throw error;
    }
  }

  override async screenshot(machine: LabMachine, path: string, signal: AbortSignal): Promise<void> {
    const target = checkTarget(path);
    await this.#domain("screenshot", machine, signal, [`--file=${target}`]);
    const magic = readFileSync(target).subarray(0, 4).toString("hex");
    if (magic === PNG_MAGIC) return;
    rmSync(target, { force: true });
    throw new MachineryError(`the hypervisor's picture of ${machine.name} is no PNG (it begins with ${magic})`);
  }

  override async takeSnapshot({ label }: LabMachine, name: string, signal: AbortSignal): Promise<void> {
    const args = ["snapshot-create-as", `--domain=${label}`, `--name=${name}`, "--description=made by rebox"];
    await this.#virsh.run(args, signal, SNAPSHOT_LIMIT_MS);
  }

  override listSnapshots({ label }: LabMachine, signal: AbortSignal): Promise<readonly string[]> {
    return listSnapshots(this.#virsh, label, signal);
  }

  override async removeSnapshot(machine: LabMachine, name: string, signal: AbortSignal): Promise<void> {
    await this.#domain("snapshot-delete", machine, signal, [`--snapshotname=${name}`], SNAPSHOT_LIMIT_MS);
  }

  override async getProcessorTimeMs({ label }: LabMachine, signal: AbortSignal): Promise<number | undefined> {
    const text = await this.#virsh.run(["domstats", "--cpu-total", label], signal);
    // In nanoseconds: virDomainGetCPUStats.
    const [, time] = /^\s*cpu\.time=(\d+)$/m.exec(text) ?? [];
    return time === undefined ? undefined : Number(time) / 1e6;
  }

  override async callGuestAgent(
    machine: LabMachine,
    command: string,
    args: object,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<unknown> {
    const request = JSON.stringify({ execute: command, arguments: args });
    // libvirt's own limit comes first: then the agent's channel is usable again.
    const options = [`--timeout=${Math.max(1, Math.floor(limitMs / 1000) - 1)}`, `--cmd=${request}`];
    try {
      const text = await this.#domain("qemu-agent-command", machine, signal, options, limitMs + AGENT_SLACK_MS);
      return (JSON.parse(text) as { readonly return?: unknown }).return;
    } catch (error) {
      throw error instanceof ProgramError ? explainAgentFailure(machine, command, error) : error;
    }
  }

  override async version(signal: AbortSignal): Promise<string> {
    return parseVirshVersion(await Virsh.readVersion(signal)).version;
  }

  get #virsh(): Virsh {
    return new Virsh(this.dsn);
  }

  #domain(
    command: string,
    { label }: LabMachine,
    signal: AbortSignal,
    args: readonly string[] = [],
    limitMs?: number,
  ): Promise<string> {
    return this.#virsh.run([command, `--domain=${label}`, ...args], signal, limitMs);
  }

  async #read(machine: LabMachine, signal: AbortSignal): Promise<DomainState> {
    const text = await this.#domain("domstate", machine, signal, ["--reason"]);
    const found = parseDomainState(text);
    if (found !== undefined) return found;
    throw new MachineryUnhandledStateError(
      `${machine.name}: virsh tells of the state ${text.trim()}, which is new here`,
    );
  }

  async #checkIsOff(machine: LabMachine, signal: AbortSignal): Promise<void> {
    const { state } = await this.#read(machine, signal);
    if (state === "poweroff" || state === "error") return;
    throw new MachineUnexpectedStateError(
      `${machine.name} is ${state}: trying to start a virtual machine that has not been turned off; stop it first`,
    );
  }
}

/** Tells an agent that refuses from one that is silent, and from a domain that has none, by libvirt's words. */
function explainAgentFailure({ name }: LabMachine, command: string, { stderr, message }: ProgramError): Error {
  const said = stderr.trim().replace(/^error:\s*/, "") || message;
  const refused = /unable to execute QEMU agent command '[^']*': ([^]*)$/.exec(said)?.[1];
  if (refused !== undefined) return new GuestAgentError(command, refused);
  if (/agent is not configured/.test(said)) {
    return new NotSupportedError(
      `${name} has no port for QEMU's guest agent: its domain needs <channel type='unix'><target type='virtio' ` +
        "name='org.qemu.guest_agent.0'/></channel>",
    );
  }
  return new MachineryConnectionError(`${name}: QEMU's guest agent does not answer: ${said}`);
}

function isOlder(version: string): boolean {
  const parts = version.split(".").map(Number);
  const at = OLDEST.findIndex((part, index) => (parts[index] ?? 0) !== part);
  return at !== -1 && (parts[at] ?? 0) < OLDEST[at]!;
}

const KVM_SETTINGS = {
  dsn: z.string().default("qemu:///system").describe("libvirt's connection."),
};

/** QEMU and KVM under libvirt. */
export class KvmMachinery extends LibVirtMachinery<typeof KVM_SETTINGS> {
  override readonly name = "kvm";
  override readonly description = "Machines of QEMU/KVM under libvirt, by virsh.";
  override readonly settings = KVM_SETTINGS;

  get dsn(): string {
    return this.config.dsn;
  }
}

const URI_SETTINGS = {
  dsn: z.string().meta({
    examples: ["qemu:///session"],
    description: "libvirt's connection; virsh -V tells what it knows.",
  }),
};

/** Machines that libvirt runs, on a connection of the user's choice. */
export class LibVirtUriMachinery extends LibVirtMachinery<typeof URI_SETTINGS> {
  override readonly name = "libvirt";
  override readonly description = "Machines of any hypervisor that libvirt knows, by virsh.";
  override readonly settings = URI_SETTINGS;

  get dsn(): string {
    return this.config.dsn;
  }
}
