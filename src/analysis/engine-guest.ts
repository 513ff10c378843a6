import type { GuestHandle } from "../auxiliary/auxiliary-run";
import type { ControlClient } from "../shell/control-client";

/** The guest of a machine that rebox runs, by a shell on the control socket of its engine. */
export class EngineGuest implements GuestHandle {
  constructor(private readonly client: ControlClient) {}

  async command(line: string, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted();
    const answer = await orAborted(this.client.run(line), signal);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.data;
  }

  close(): void {
    this.client.close();
  }
}

async function orAborted<Result>(result: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return result;
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
