import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { openImage } from "../../guest/images/open-image";
import { openInvestigations } from "../../investigation/open-investigations";
import { type OperationOptions, encodeRequest, type OperationRequest } from "../../investigation/operation";
import { type OperationsOutcome, runOperations } from "../../investigation/run-operations";
import { ReboxMachinery } from "../../lab/machinery/drivers/rebox/rebox-machinery";
import { Lab } from "../../lab/lab";
import { ImageError } from "../../systems/errors";
import type { ControlClient } from "../../shell/line/control-client";
import { connectControl } from "../connect-control";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";

/** The values of --target, as the message says when it is missing. */
export const TARGETS =
  "-t takes the control socket of a guest that runs (rebox run --control SOCKET), a machine of the lab, a memory image, or local for this host alone";

/** A place that carries out operations. */
export interface InvestigationTarget {
  /** Carries out operations. @param stop aborted to send the modules a stop message */
  run(request: OperationRequest, stop: AbortSignal): Promise<OperationsOutcome>;
  /** Starts a persistent module, which continues when this process has ended. */
  start(module: string): Promise<string>;
  close(): void;
}

/**
 * Finds the target that a command line names.
 *
 * @param name a path, a machine's name, or "local"
 * @param labFolder the lab whose machines are looked up
 * @throws UsageError for a name that is none of them
 */
export async function openTarget(
  name: string,
  labFolder: string,
  environment: RunEnvironment,
): Promise<InvestigationTarget> {
  if (name === "local") return openLocal(labFolder, environment);
  const stat = statSync(name, { throwIfNoEntry: false });
  if (stat?.isSocket()) return new RemoteTarget(await connectControl(name));
  if (stat?.isFile()) {
    try {
      await openImage(name);
    } catch (error) {
      if (error instanceof ImageError) throw new UsageError(error.message);
      throw error;
    }
    return openLocal(labFolder, environment);
  }
  return new RemoteTarget(await connectMachine(name, labFolder, environment));
}

/** Opens a target in this process: the memory image that it has opened, or nothing but this host. */
export function openLocal(labFolder: string, environment: RunEnvironment): InvestigationTarget {
  const host = openInvestigations([labFolder, "."], () => environment.getApi());
  return {
    run: ({ operations, ...request }, stop) =>
      runOperations(host, operations, { ...(request as OperationOptions), stop }),
    start: () =>
      Promise.reject(new UsageError("-P starts a module in an engine, where it stays: -t SOCKET or MACHINE")),
    close: () => undefined,
  };
}

/** An engine in another process. */
class RemoteTarget implements InvestigationTarget {
  constructor(private readonly client: ControlClient) {}

  async run(request: OperationRequest, stop: AbortSignal): Promise<OperationsOutcome> {
    const token = randomUUID();
    // Ctrl-C of the shell would pause the guest while the request has not begun or is over, so it is not used.
    const onStop = () => void this.client.look([`investigate --stop ${token}`]);
    stop.addEventListener("abort", onStop, { once: true });
    try {
      const answer = this.client.run(`investigate --request ${encodeRequest({ ...request, token })}`);
      if (stop.aborted) onStop();
      const result = await answer;
      if (result.error !== undefined) throw new UsageError(result.error);
      return result.data as unknown as OperationsOutcome;
    } finally {
      stop.removeEventListener("abort", onStop);
    }
  }

  async start(module: string): Promise<string> {
    const result = await this.client.run(`investigate --start ${module}`);
    if (result.error !== undefined) throw new UsageError(result.error);
    return result.text;
  }

  close(): void {
    this.client.close();
  }
}

async function connectMachine(name: string, labFolder: string, environment: RunEnvironment): Promise<ControlClient> {
  let lab: Lab;
  try {
    lab = await Lab.open(labFolder, { api: environment.getApi(), log: () => undefined });
  } catch (error) {
    throw new UsageError(
      `${name} is neither a socket nor a file, and no machine: ${(error as Error).message}; ${TARGETS}`,
    );
  }
  try {
    const machine = lab.manager.machines.get(name);
    const machinery = lab.manager.getMachinery(machine);
    if (!(machinery instanceof ReboxMachinery)) {
      throw new UsageError(`${name} is a machine of ${machinery.name}: only those of rebox can be looked into`);
    }
    return await machinery.openShell(machine);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError((error as Error).message);
  } finally {
    await lab.close();
  }
}
