import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { takeMoment } from "../../config/moment";
import { AnalysisError, GoldenStateError, GuestGoneError, MachineActionError } from "../errors";
import { QmpMachinery } from "../machinery/drivers/qemu/qmp-machinery";
import { ReboxMachinery } from "../machinery/drivers/rebox/rebox-machinery";
import type { Lab } from "../lab";
import { getMachineFolder } from "../machinery-context";
import type { MachineLease } from "../machine-lease";
import type { Machinery } from "../machinery/machinery";
import type { ActionName } from "../machinery/manager/action";
import type { MachineQuery } from "../machinery/records/machine-list";
import type { LabMachine } from "../machinery/records/lab-machine";
import type { AnalysisRequest } from "./analysis-database";
import type { AnalysisMachine, AnalysisMachinePool, DeliveredTarget, TargetRequest } from "./analysis-machine";
import { findOther, toQuery } from "./choose-machine";
import type { MachineChoice } from "./target/start-request";
import { AnalysisNetwork, type NetworkUse } from "./analysis-network";
import { EngineGuest } from "./engine-guest";
import { EngineLog } from "./engine-log";
import { withMoment } from "./event-moment";
import { FollowedTarget, type FollowRequest } from "./target/followed-target";
import { type Delivery, GuestTarget } from "./target/execute-target";
import { findPlatformProblem, findTargetProblem, type TargetNeeds } from "./target/target-problem";
import { type WindowsDelivery, WindowsTarget } from "./target/windows-target";
import { findNetwork } from "../network/network-choice";
import type { GuestDisc } from "../ways/guest-disc";
import { openWay, openWindowsAgent } from "../ways/open-way";
import { type AnalysisRecording, findAnalysisRecording, makeRecordedDisc } from "./target/recorded-analysis";

/** A machine may boot that long until a way into it answers, in milliseconds. */
const WAY_LIMIT_MS = 300_000;
/** Between the end of a way in and that of its machine, in milliseconds. */
const OFF_LIMIT_MS = 30_000;
const POLL_MS = 200;
/** For a kernel that was asked to write to its disks, in milliseconds. */
const SYNC_MS = 5_000;

/** The use of a machine by an analysis. */
export interface MachineUse {
  /** Of the analysis. */
  readonly id: number;
  /** Of the analysis, absolute. */
  readonly folder: string;
  /** Absolute paths of scripts for the machine's engine. */
  readonly scripts: readonly string[];
  /** Whether the machine is given a file, beside what is typed. */
  readonly hasTarget: boolean;
  /** The recording that is kept, if one is. */
  readonly recording?: AnalysisRecording | undefined;
  /** Without it the machine has the network of its settings, and nothing of it is recorded. */
  readonly network?: NetworkUse;
  /** Lists the analyses that wait for a machine, too, and come first. */
  listAhead?(): readonly AnalysisRequest[];
  addEvent(type: string, facts: Readonly<Record<string, unknown>>): void;
  /** Adds a line to the analysis' log. */
  warn(text: string): void;
}

/** A machine of a lab that an analysis has for itself. */
export class LeasedMachine implements AnalysisMachine {
  readonly name: string;
  readonly label: string;
  readonly platform: string;
  readonly ip: string | undefined;
  readonly interface: string | undefined;
  readonly machinery: string;
  readonly resultServer: { readonly ip: string; readonly port: number } | undefined;
  readonly #machine: LabMachine;
  readonly #machinery: Machinery;
  #log: EngineLog | undefined;
  #guest: EngineGuest | undefined;
  readonly #network: AnalysisNetwork | undefined;
  #disc: GuestDisc | undefined;
  #hasBegun = false;

  constructor(
    private readonly lab: Lab,
    private readonly lease: MachineLease,
    private readonly use: MachineUse,
  ) {
    const { machine } = lease;
    this.#machine = machine;
    this.#machinery = lab.manager.getMachinery(machine);
    const isQemu = this.#machinery instanceof QmpMachinery;
    this.#network = use.network && new AnalysisNetwork(lab.folder, machine, use.network, isQemu);
    this.name = machine.name;
    this.label = machine.label;
    const { platform, ip, interface: network, machineryName, resultServerIp, resultServerPort } = machine.facts;
    this.platform = platform;
    this.ip = ip;
    this.interface = network;
    this.machinery = machineryName;
    this.resultServer =
      resultServerIp === undefined ? undefined : { ip: resultServerIp, port: resultServerPort ?? 2042 };
  }

  get guest(): EngineGuest | undefined {
    return this.#guest;
  }

  async start(signal: AbortSignal): Promise<void> {
    const { scripts, addEvent, recording } = this.use;
    const machinery = this.#machinery;
    if (scripts.length > 0 && !(machinery instanceof ReboxMachinery)) {
      throw new AnalysisError(
        `scripts need a machine of the machinery rebox; ${this.name} is one of ${this.machinery}`,
      );
    }
    await this.#network?.start(signal);
    if (recording === undefined) await this.#request("restoreStart", { signal });
    else {
      this.#disc = await makeRecordedDisc(recording, signal);
      await this.#request("recordedStart", { signal, path: recording.folder });
    }
    if (!(machinery instanceof ReboxMachinery)) return;
    this.#log = new EngineLog(join(getMachineFolder(this.lab.folder, this.name), "events.jsonl"), addEvent);
    this.#guest = new EngineGuest(() => machinery.openShell(this.#machine));
    for (const script of scripts) await this.#guest.command(`import ${quote(script)}`, signal);
  }

  async deliver(request: TargetRequest, signal: AbortSignal): Promise<DeliveredTarget> {
    const { platform, name, use } = this;
    const refusal = findPlatformProblem(name, platform);
    if (refusal !== undefined) throw new AnalysisError(refusal);
    const { target, command } = request;
    let opened: GuestTarget | WindowsTarget | undefined;
    try {
      opened = await (platform === "windows" ? this.#giveWindows(request, signal) : this.#giveLinux(request, signal));
      // They have begun beside the machine.
      await this.#network?.untilReady(signal);
    } catch (error) {
      opened?.close();
      if (!(error instanceof GuestGoneError)) throw error;
      // It may have ended by itself.
      const explain = (own: AbortSignal) => this.#explainEnd(error, own);
      return { begin: async (own) => void (await explain(own)), untilEnd: explain, reboot: explain, close: () => {} };
    }
    const given = opened;
    return {
      begin: async (own) => {
        try {
          const { pid, moment = takeMoment() } = (await given.begin(own)) ?? {};
          this.#hasBegun = true;
          const facts = { target, command, pid, wayIn: given.wayIn };
          withMoment(moment, () => use.addEvent("target.started", facts));
        } catch (error) {
          if (!(error instanceof GuestGoneError)) throw error;
          await this.#explainEnd(error, own);
        }
      },
      untilEnd: async (own) => {
        try {
          return await given.untilEnd(own);
        } catch (error) {
          if (!(error instanceof GuestGoneError)) throw error;
          return await this.#explainEnd(error, own);
        }
      },
      reboot: async (own) => {
        try {
          await given.reboot(own);
          return undefined;
        } catch (error) {
          if (!(error instanceof GuestGoneError)) throw error;
          return await this.#explainEnd(error, own);
        }
      },
      close: () => given.close(),
    };
  }

  #giveLinux(request: TargetRequest, signal: AbortSignal): Promise<GuestTarget> {
    const { use } = this;
    const { target, command, start, clockMs, isRebooted } = request;
    const delivery: Delivery = {
      ...{ target, command, ...(start && { start }), folder: use.folder, disc: this.#disc },
      getClockMs: () => clockMs ?? Date.now(),
      look: this.#network?.look,
      connect: async (way, own, seen) => this.#network?.connectGuest(way, own, seen),
      openWay: (own) => openWay(this.lab, this.#machine, WAY_LIMIT_MS, own, use.recording !== undefined),
      follow: (mark, own) => {
        const options = { mark, follows_restart: isRebooted };
        return this.#follow({ platform: "linux", noun: nameOf(request), options }, own);
      },
      reset: (own) => this.#reset(own),
    };
    return GuestTarget.deliver(delivery, signal);
  }

  /** A Windows guest keeps its clock, and sets up its network by itself. */
  #giveWindows(request: TargetRequest, signal: AbortSignal): Promise<WindowsTarget> {
    const { target, command, start } = request;
    const delivery: WindowsDelivery = {
      ...{ target, command, start },
      openAgent: (own) => openWindowsAgent(this.lab, this.#machine, WAY_LIMIT_MS, own),
      follow: (file, launcher, own) =>
        this.#follow({ platform: "windows", noun: nameOf(request), options: { file, launcher } }, own),
    };
    return WindowsTarget.deliver(delivery, signal);
  }

  /** Follows the target from outside, where the guest's kernel is one that rebox knows. */
  async #follow(request: FollowRequest, signal: AbortSignal): Promise<FollowedTarget | undefined> {
    const { use } = this;
    if (this.#guest === undefined) return undefined;
    try {
      return await FollowedTarget.begin(this.#guest, request, use.addEvent, signal);
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      use.warn(`the target cannot be followed from outside, so the guest is asked when it has ended: ${reason}`);
      return undefined;
    }
  }

  /** Asks the kernel, by keys, to write what it has for its disks (Documentation/admin-guide/sysrq.rst), and resets the machine. */
  async #reset(signal: AbortSignal): Promise<void> {
    const guest = this.#guest;
    if (guest === undefined) throw new AnalysisError(`machine ${this.name} cannot be reset: it has no engine of rebox`);
    const keys = ["alt", "sysrq", "s"].map((data) => ({ type: "qcode", data }));
    await guest.qmp("send-key", { keys }, signal);
    await sleep(SYNC_MS, undefined, { signal });
    await guest.qmp("system_reset", {}, signal);
  }

  async dumpMemory(path: string, signal: AbortSignal): Promise<void> {
    await this.#request("dumpMemory", { path, signal });
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#guest?.close();
    this.#guest = undefined;
    try {
      await this.#request("stop", { signal });
    } finally {
      this.#log?.close();
      this.#log = undefined;
      await this.#network?.stop();
    }
  }

  async release(failure: string | undefined): Promise<void> {
    if (failure !== undefined) this.lab.manager.quarantine(this.name, failure);
    await this.lease.release();
  }

  /** Says why a machine went off that was not stopped. @throws AnalysisError when it is on: the way into it has broken */
  async #explainEnd(cause: GuestGoneError, signal: AbortSignal): Promise<string> {
    const endMs = performance.now() + OFF_LIMIT_MS;
    for (;;) {
      const { state } = await this.lab.manager.readState(this.name, signal);
      if (state === "poweroff") break;
      if (performance.now() > endMs) {
        throw new AnalysisError(`the way into ${this.name} broke, and the machine is ${state}: ${cause.message}`, { cause }); // prettier-ignore
      }
      await sleep(POLL_MS, undefined, { signal });
    }
    const failure = await this.#machinery.findFailure(this.#machine, signal);
    if (failure !== undefined) throw new AnalysisError(`the machine is gone: ${failure}`, { cause });
    if (!this.#hasBegun) throw new AnalysisError("the machine went off before the target ran", { cause });
    return "the machine went off by itself";
  }

  async #request(action: ActionName, options: { readonly signal: AbortSignal; readonly path?: string }): Promise<void> {
    const { success, reason, code } = await this.lab.manager.request(action, this.name, options);
    if (!success) throw new MachineActionError(reason ?? `${action} of ${this.name} failed`, code);
  }
}

function nameOf({ command }: TargetRequest): string {
  return command === undefined ? "target" : "command";
}

/** The machines of a lab, for one analysis. */
export class LabMachinePool implements AnalysisMachinePool {
  constructor(
    private readonly lab: Lab,
    private readonly use: MachineUse,
  ) {}

  async acquire(name: string | undefined, signal: AbortSignal, choice: MachineChoice = {}): Promise<AnalysisMachine> {
    const { lab, use } = this;
    lab.checkHasMachines();
    await lab.recheck(signal);
    if (name !== undefined) {
      const { quarantine } = lab.manager.machines.get(name);
      if (quarantine !== undefined) {
        throw new AnalysisError(
          `${name} is quarantined: ${quarantine.reason}; mend it, then rebox machine enable ${name}`,
        );
      }
    }
    const query = this.#makeQuery(name, choice, use);
    const lease = await lab.take(`analysis ${use.id}`, query, signal, () => this.#listAhead());
    try {
      await this.#checkIsOff(lease, signal);
      this.#checkGolden(lease, choice);
      return new LeasedMachine(lab, lease, use);
    } catch (error) {
      await lease.release();
      throw error;
    }
  }

  #makeQuery(name: string | undefined, choice: MachineChoice, use: TargetNeeds): MachineQuery {
    const { manager } = this.lab;
    const { folder } = this.lab;
    const findProblem = (machine: LabMachine) =>
      (name === undefined ? findOther(folder, choice, machine) : undefined) ??
      findTargetProblem(machine, manager.getMachinery(machine), use);
    return { ...(name === undefined ? toQuery(choice) : { name }), findProblem };
  }

  #listAhead(): MachineQuery[] {
    return (this.use.listAhead?.() ?? []).map(({ machine, choice = {}, target, scripts, network, options }) => {
      const wanted = network === undefined ? undefined : findNetwork(network);
      const recording = findAnalysisRecording("", target, options);
      const needs = { hasTarget: target !== undefined, scripts, recording, network: { wanted } };
      return this.#makeQuery(machine, choice, needs);
    });
  }

  /** A machine that is named was chosen before it was leased. @throws GoldenStateError when it has been given another state since */
  #checkGolden({ machine }: MachineLease, { golden }: MachineChoice): void {
    const other = golden === undefined ? undefined : findOther(this.lab.folder, { golden }, machine);
    if (other !== undefined) throw new GoldenStateError(`${other} any more`);
  }

  /** One that somebody has started by hand is not ours to stop. */
  async #checkIsOff({ machine }: MachineLease, signal: AbortSignal): Promise<void> {
    const { state } = await this.lab.manager.readState(machine.name, signal);
    if (state === "poweroff") return;
    throw new MachineActionError(`${machine.name} is ${state}; stop it first: rebox machine stop ${machine.name}`, "REBOX_MACHINE_UNEXPECTED_STATE"); // prettier-ignore
  }
}

/** Makes text one word of a line of rebox's shell. */
function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
