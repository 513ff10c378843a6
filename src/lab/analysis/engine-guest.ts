import { type Moment, takeMoment } from "../../config/moment";
import { AnalysisError } from "../errors";
import type { GuestHandle, GuestObservation } from "../auxiliary/auxiliary-run";
import type { ControlClient } from "../../shell/line/control-client";
import { withMoment } from "./event-moment";
import type { RunEvent } from "../../shell/line/run-feed";

/** The guest of an engine in another process, through its control socket. */
export class EngineGuest implements GuestHandle {
  private readonly clients = new Set<ControlClient>();
  private isOpen = true;

  /**
   * @param open connects to the engine: `() => machinery.openShell(machine)`. Everything has a connection of its own, so that
   *   nothing waits for anything else, and what is begun on one goes with it
   */
  constructor(private readonly open: () => Promise<ControlClient>) {}

  command(line: string, signal?: AbortSignal): Promise<unknown> {
    return this.use(signal, (client) => ask(client, line));
  }

  qmp(command: string, args: object = {}, signal?: AbortSignal): Promise<unknown> {
    return this.command(`qmp ${command} ${JSON.stringify(args)}`, signal);
  }

  async observe(
    file: string,
    options: object,
    onEvent: (event: unknown, moment: Moment) => void,
    signal?: AbortSignal,
  ): Promise<GuestObservation> {
    const client = await this.connect();
    let failure: Error | undefined;
    client.onNotice = ({ data, moment = takeMoment() }) => {
      try {
        if (failure === undefined) withMoment(moment, () => onEvent(data, moment));
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error));
      }
    };
    try {
      const line = `observe ${JSON.stringify(file)} ${JSON.stringify(options)}`;
      const { number } = (await withSignal(client, signal, () => ask(client, line))) as { number: number };
      const onAbort = () => client.close();
      signal?.addEventListener("abort", onAbort, { once: true });
      void client.ended.then(() => signal?.removeEventListener("abort", onAbort));
      return {
        ended: client.ended,
        get lost() {
          return client.lost;
        },
        end: async (ownSignal) => {
          try {
            const result = await withSignal(client, ownSignal, () => ask(client, `observe_end ${number}`));
            if (failure !== undefined) throw failure;
            return result;
          } finally {
            client.close();
          }
        },
      };
    } catch (error) {
      client.close();
      throw error;
    }
  }

  async watch(listener: (event: RunEvent) => void): Promise<() => void> {
    const client = await this.connect();
    client.onEvent = (event) => {
      try {
        listener(event);
      } catch {
        // A listener's failure is its own.
      }
    };
    client.watch();
    return () => client.close();
  }

  /** Ends all that was begun here; calls that still wait fail. */
  close(): void {
    this.isOpen = false;
    for (const client of this.clients) client.close();
  }

  private async connect(): Promise<ControlClient> {
    const client = this.isOpen ? await this.open() : undefined;
    if (client === undefined || !this.isOpen) {
      client?.close();
      throw new AnalysisError("the analysis looks into its guest no longer");
    }
    this.clients.add(client);
    void client.ended.then(() => this.clients.delete(client));
    return client;
  }

  private async use<Result>(signal: AbortSignal | undefined, call: (client: ControlClient) => Promise<Result>) {
    signal?.throwIfAborted();
    const client = await this.connect();
    try {
      return await withSignal(client, signal, () => call(client));
    } finally {
      client.close();
    }
  }
}

async function ask(client: ControlClient, line: string): Promise<unknown> {
  const answer = await client.run(line);
  if (answer.error !== undefined) throw new AnalysisError(answer.error);
  return answer.data;
}

/** Closes the connection when the signal is aborted: calls that wait for its answers fail. */
async function withSignal<Result>(
  client: ControlClient,
  signal: AbortSignal | undefined,
  call: () => Promise<Result>,
): Promise<Result> {
  signal?.throwIfAborted();
  const onAbort = () => client.close();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await call();
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
