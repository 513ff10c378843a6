import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hashFile } from "../../config/host-files";
import { measureTicksKhz } from "../../machine/recording/start-state";
import { AnalysisError, GoldenStateError, MachineryManagerError } from "../errors";
import type { Lab } from "../lab";
import {
  compareOrigins,
  findIdentity,
  getGoldenFolder,
  getGoldenState,
  GOLDEN_NAME,
  GoldenFiles,
  type GoldenFile,
  type GoldenManifest,
  GoldenState,
  removeGoldenState,
} from "../machinery/golden/golden-state";
import type { Machinery } from "../machinery/machinery";
import type { LabMachine } from "../machinery/records/lab-machine";
import { writeWhole } from "../machinery/records/machine-file";
import type { GuestWay } from "../ways/guest-way";
import { openWay } from "../ways/open-way";
import { changeGuest, describeChanges, type GuestChanges } from "./change-guest";
import { PreparationNetwork } from "./preparation-network";
import { prepareSnapshot, type TakenSnapshot } from "./prepare-snapshot";
import { waitForQuiet, type Watch } from "./readiness";

/** A golden state that is to be made, or a snapshot. */
export interface PrepareRequest extends GuestChanges {
  readonly machine: string;
  /** The state's. */
  readonly name: string;
  /** The name of the machine's golden state that is changed; undefined boots the machine. */
  readonly from: string | undefined;
  /** A state of this name is replaced; otherwise it is an error. */
  readonly replaces: boolean;
  /** Until the system is ready, without the changes, in seconds. */
  readonly timeoutS: number;
}

/**
 * Boots a machine, waits until its system is ready, changes it, and freezes it: as a golden state, or, where its hypervisor keeps
 * snapshots, as one of those.
 *
 * @param signal ends it; nothing is left of the state then
 * @throws MachineryManagerError for a request that cannot be met; AnalysisError for a guest that does not become ready
 */
export async function prepareMachine(
  lab: Lab,
  request: PrepareRequest,
  signal: AbortSignal,
): Promise<GoldenState | TakenSnapshot> {
  const { name } = request;
  const machine = lab.manager.machines.get(request.machine);
  if (machine.facts.cloneOf !== undefined) {
    throw new MachineryManagerError(`${machine.name} is a clone: prepare ${machine.facts.cloneOf}`);
  }
  if (!GOLDEN_NAME.test(name)) {
    throw new MachineryManagerError(`${JSON.stringify(name)} is no name for a golden state: letters, digits and _ . -`);
  }
  const machinery = lab.manager.getMachinery(machine);
  const { goldenStates, snapshots } = machinery.capabilities;
  if (!goldenStates && !snapshots) {
    throw new MachineryManagerError(`machines of ${machinery.name} cannot be frozen by rebox`);
  }
  const lease = await lab.takeFree(`rebox machine prepare ${machine.name}`, machine.name);
  if (lease === undefined) {
    throw new MachineryManagerError(`${machine.name} is in use (${machine.unavailableReason ?? "by another process"})`);
  }
  try {
    if (!goldenStates) return await prepareSnapshot(lab, machine, request, signal);
    return await new Preparation(lab, machine, machinery, request, signal).perform();
  } finally {
    await lease.release();
  }
}

class Preparation {
  readonly #states: string;
  readonly #final: string;
  readonly #files: GoldenFiles;
  /** It exists while a machine runs for a golden state that is being made. */
  readonly #mark: string;

  constructor(
    private readonly lab: Lab,
    private readonly machine: LabMachine,
    private readonly machinery: Machinery,
    private readonly request: PrepareRequest,
    private readonly signal: AbortSignal,
  ) {
    this.#states = getGoldenFolder(lab.folder, machine.name);
    this.#final = join(this.#states, request.name);
    // A name with a dot in front is no golden state's: what a killed process leaves behind is never taken for one.
    this.#files = new GoldenFiles(join(this.#states, `.${request.name}.new`));
    this.#mark = join(lab.folder, "state", machine.name, "preparing");
  }

  async perform(): Promise<GoldenState> {
    const { machine, machinery, request, signal } = this;
    if (existsSync(this.#final) && !request.replaces) {
      throw new MachineryManagerError(
        `${machine.name} has a golden state ${request.name} already; --as gives another name, --replace makes it anew`,
      );
    }
    await this.#endLeftover();
    const origin = await machinery.getGoldenOrigin(machine, signal);
    const from = request.from === undefined ? undefined : getGoldenState(this.lab.folder, machine.name, request.from);
    const problems = from === undefined ? [] : [...(await from.findDamage()), ...compareOrigins(from.manifest.origin, origin)]; // prettier-ignore
    if (problems.length > 0) {
      throw new GoldenStateError(`the golden state ${request.from} cannot be changed: ${problems.join("; ")}`);
    }
    mkdirSync(this.#files.folder, { recursive: true });
    writeWhole(this.#mark, request.name);
    let way: GuestWay | undefined;
    const network = new PreparationNetwork(this.lab, machine, request.onProgress);
    try {
      if (from !== undefined) {
        request.onProgress(`copying the golden state ${from.name}`);
        this.#files.copyFrom(from);
      }
      request.onProgress(`starting ${machine.name}`);
      await network.start(signal);
      await this.#act("startToFreeze");
      await network.untilReady(signal);
      request.onProgress("waiting for a way into its system");
      const limitMs = request.timeoutS * 1000;
      const endMs = performance.now() + limitMs;
      way = await openWay(this.lab, machine, limitMs, signal);
      request.onProgress(`its ${way.name} has answered`);
      await waitForQuiet(way, this.#watch(endMs));
      await network.connectGuest(way, signal);
      await this.#change(way);
      way.close();
      request.onProgress("freezing");
      await this.#act("freeze");
      return await this.#keep(origin, way.name, from);
    } catch (error) {
      way?.close();
      await this.lab.manager.request("stop", machine.name);
      rmSync(this.#files.folder, { recursive: true, force: true });
      signal.throwIfAborted();
      throw error;
    } finally {
      await network.stop();
      rmSync(this.#mark, { force: true });
    }
  }

  /** Ends a machine that a killed preparation has left running, and removes its files. */
  async #endLeftover(): Promise<void> {
    const { machine, lab, signal } = this;
    const { state } = await lab.manager.readState(machine.name, signal);
    if (state !== "poweroff") {
      if (!existsSync(this.#mark)) {
        throw new MachineryManagerError(
          `${machine.name} is ${state}; stop it first: rebox machine stop ${machine.name}`,
        );
      }
      await this.#act("stop");
    }
    rmSync(this.#files.folder, { recursive: true, force: true });
  }

  async #change(way: GuestWay): Promise<void> {
    const { request, signal } = this;
    if (!(await changeGuest(way, request, this.#files.folder, signal))) return;
    await waitForQuiet(way, this.#watch(performance.now() + request.timeoutS * 1000));
  }

  #watch(endMs: number): Watch {
    const { machine, machinery, request, signal } = this;
    return {
      ...{ endMs, signal, onProgress: request.onProgress },
      getProcessorTimeMs: () => machinery.getProcessorTimeMs(machine, signal),
    };
  }

  /** Describes the files, and gives them their final name all at once. */
  async #keep(origin: GoldenManifest["origin"], wayIn: string, from: GoldenState | undefined): Promise<GoldenState> {
    const { machine, request } = this;
    const files = this.#files;
    request.onProgress("computing checksums");
    const names = ["ram", "devices", "disk.qcow2"].filter((name) => existsSync(join(files.folder, name)));
    const described = await Promise.all(
      names.map(async (name): Promise<GoldenFile> => {
        const path = join(files.folder, name);
        return { ...findIdentity(path)!, path: name, sha256: await hashFile(path) };
      }),
    );
    // Its kernel has measured the rate when it was booted, which was somewhere else perhaps.
    const ticksKhz = from === undefined ? measureTicksKhz() : from.manifest.ticksKhz;
    const manifest: GoldenManifest = {
      ...{ format: 1, machine: machine.name, name: request.name, createdMs: Date.now() },
      ...{ origin, files: described, wayIn, ramSize: described.find(({ path }) => path === "ram")!.size },
      changes: [...(from?.manifest.changes ?? []), ...describeChanges(request)],
      ...(ticksKhz === undefined ? {} : { ticksKhz }),
    };
    writeWhole(files.manifest, `${JSON.stringify(manifest, null, 2)}\n`);
    if (existsSync(this.#final)) removeGoldenState(GoldenState.read(this.#final));
    renameSync(files.folder, this.#final);
    return GoldenState.read(this.#final);
  }

  async #act(action: "startToFreeze" | "freeze" | "stop"): Promise<void> {
    const { signal, machine, lab } = this;
    const { success, reason } = await lab.manager.request(action, machine.name, { signal, path: this.#files.folder });
    if (success) return;
    signal.throwIfAborted();
    throw new AnalysisError(reason ?? `${action} of ${machine.name} failed`);
  }
}
