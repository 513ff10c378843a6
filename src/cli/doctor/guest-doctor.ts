import type { GuestDiagnosis } from "../../systems/linux/guest-diagnosis";
import { connectControl } from "../attach/connect-control";
import { ExitStatus } from "../exit-status";
import { UsageError } from "../usage-error";

/**
 * Has an engine look at its guest, and prints what it says.
 *
 * @param socket the path that was given to --control
 * @returns the exit status: 1 when a step failed
 * @throws UsageError when there is no engine, or it is about to end
 */
export async function examineGuest(socket: string, isJson: boolean, stdout: NodeJS.WritableStream): Promise<number> {
  const client = await connectControl(socket);
  try {
    const answer = await client.run("doctor");
    if (answer.error !== undefined) throw new UsageError(`${socket}: ${answer.error}`);
    const { isHealthy, steps } = answer.data as unknown as GuestDiagnosis;
    stdout.write(isJson ? `${JSON.stringify(steps, null, 2)}\n` : `${answer.text}\n`);
    return isHealthy ? ExitStatus.success : ExitStatus.failure;
  } finally {
    client.close();
  }
}
