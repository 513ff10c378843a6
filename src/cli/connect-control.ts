import { ControlClient } from "../shell/line/control-client";
import { UsageError } from "./errors";

/**
 * Connects to the engine that `rebox run --control PATH` runs.
 *
 * @throws UsageError that says why nobody answers there
 */
export async function connectControl(path: string): Promise<ControlClient> {
  try {
    return await ControlClient.connect(path);
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === "EACCES" ? "it belongs to another user" : "nobody listens there";
    throw new UsageError(`${path}: ${reason}; start the guest with rebox run --control ${path}`);
  }
}
