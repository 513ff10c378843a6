import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { callAsyncWithin } from "../../config/limits";
import { AnalysisError, MachineryManagerError } from "../errors";
import type { Lab } from "../lab";
import { getMachineFolder } from "../machinery-context";
import type { LabMachine } from "../machinery/records/lab-machine";
import type { GuestWay } from "../ways/guest-way";
import { openWay } from "../ways/open-way";
import { changeGuest } from "./change-guest";
import type { PrepareRequest } from "./prepare-machine";
import { waitForQuiet, type Watch } from "./readiness";

/** Writing a machine's RAM into its disk. */
const SNAPSHOT_LIMIT_MS = 600_000;

/** A snapshot that a machine's hypervisor keeps. */
export interface TakenSnapshot {
  readonly name: string;
  /** The machinery that keeps it. */
  readonly keeper: string;
}

/**
 * Boots a machine whose hypervisor keeps snapshots, waits until its system is ready, changes it, and has a snapshot taken.
 *
 * @throws MachineryManagerError for a request that cannot be met; AnalysisError for a guest that does not become ready
 */
export async function prepareSnapshot(
  lab: Lab,
  machine: LabMachine,
  request: PrepareRequest,
  signal: AbortSignal,
): Promise<TakenSnapshot> {
  const { name, onProgress } = request;
  const machinery = lab.manager.getMachinery(machine);
  await checkRequest(lab, machine, request, signal);
  const act = async (action: "norestoreStart" | "stop", own?: AbortSignal) => {
    const { success, reason } = await lab.manager.request(action, machine.name, own && { signal: own });
    if (success) return;
    own?.throwIfAborted();
    throw new AnalysisError(reason ?? `${action} of ${machine.name} failed`);
  };
  const folder = mkdtempSync(join(getMachineFolder(lab.folder, machine.name), "preparing-"));
  let way: GuestWay | undefined;
  try {
    onProgress(`starting ${machine.name}`);
    await act("norestoreStart", signal);
    onProgress("waiting for a way into its system");
    const limitMs = request.timeoutS * 1000;
    const endMs = performance.now() + limitMs;
    way = await openWay(lab, machine, limitMs, signal);
    onProgress(`its ${way.name} has answered`);
    const watch = (own: number): Watch => ({
      ...{ endMs: own, signal, onProgress },
      getProcessorTimeMs: () => machinery.getProcessorTimeMs(machine, signal),
    });
    await waitForQuiet(way, watch(endMs));
    const isChanged = await changeGuest(way, request, folder, signal);
    if (isChanged) await waitForQuiet(way, watch(performance.now() + limitMs));
    way.close();
    if ((await machinery.listSnapshots(machine, signal)).includes(name)) {
      onProgress(`removing the snapshot ${name} that there was`);
      await machinery.removeSnapshot(machine, name, signal);
    }
    onProgress("taking the snapshot");
    await callAsyncWithin("the snapshot", SNAPSHOT_LIMIT_MS, signal, (own) =>
      machinery.takeSnapshot(machine, name, own),
    );
    return { name, keeper: machinery.name };
  } finally {
    way?.close();
    rmSync(folder, { recursive: true, force: true });
    await act("stop");
  }
}

async function checkRequest(
  lab: Lab,
  machine: LabMachine,
  { name, from, replaces }: PrepareRequest,
  signal: AbortSignal,
): Promise<void> {
  const machinery = lab.manager.getMachinery(machine);
  const { snapshot } = machine.facts;
  if (from !== undefined) {
    throw new MachineryManagerError(
      `snapshots of ${machinery.name} are made from a boot: leave --from ${from} out, and repeat its changes`,
    );
  }
  if (snapshot !== undefined && snapshot !== name) {
    throw new MachineryManagerError(
      `${machine.name} starts from the snapshot ${snapshot} of its setting; give it that name: --as ${snapshot}`,
    );
  }
  const { state } = await lab.manager.readState(machine.name, signal);
  if (state !== "poweroff") {
    throw new MachineryManagerError(`${machine.name} is ${state}; stop it first: rebox machine stop ${machine.name}`);
  }
  if (replaces || !(await machinery.listSnapshots(machine, signal)).includes(name)) return;
  throw new MachineryManagerError(
    `${machine.name} has a snapshot ${name} already; --as gives another name, --replace makes it anew`,
  );
}
