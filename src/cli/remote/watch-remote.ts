import { setTimeout as sleep } from "node:timers/promises";
import type { RemoteServer } from "./remote-server";

/** The time before a stream that was cut off is asked for again, in milliseconds. */
const PAUSE_MS = 2_000;
/** So often in a row it may fail. */
const MOST_FAILURES = 30;

/** A message of the stream of an analysis. */
export interface StreamMessage {
  /** "event", "phase", "restart", "end". */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The end of an analysis, as its stream tells it. */
export interface RemoteEnd {
  readonly outcome: string;
  readonly reason: string | null;
}

/**
 * Follows an analysis of a server until it ends, also over lost connections.
 *
 * @param onMessage gets each message but the last
 * @throws UsageError when the server cannot be reached for a minute, or refuses
 */
export async function watchRemote(
  server: RemoteServer,
  id: number,
  signal: AbortSignal,
  onMessage: (message: StreamMessage) => void,
): Promise<RemoteEnd> {
  let last: string | undefined;
  for (let failures = 0; ; failures++) {
    signal.throwIfAborted();
    try {
      const headers = last === undefined ? {} : { "last-event-id": last };
      const answer = await server.open("GET", `/api/v1/analyses/${id}/events/stream`, { headers, signal });
      for await (const message of readStream(answer as AsyncIterable<Buffer>)) {
        failures = 0;
        last = message.id ?? last;
        if (message.name === "end") return message.data as unknown as RemoteEnd;
        onMessage(message);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (failures >= MOST_FAILURES || (last === undefined && failures === 0)) throw error;
    }
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

/** Reads server-sent events (the HTML standard, 9.2.6), as far as a server of rebox writes them. */
async function* readStream(bytes: AsyncIterable<Buffer>): AsyncGenerator<StreamMessage & { readonly id?: string }> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf("\n\n"); end !== -1; end = rest.indexOf("\n\n")) {
      const lines = rest.slice(0, end).split("\n");
      rest = rest.slice(end + 2);
      const get = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const [name, data, id] = [get("event"), get("data"), get("id")];
      if (name === undefined || data === undefined) continue;
      yield { name, data: JSON.parse(data) as StreamMessage["data"], ...(id === undefined ? {} : { id }) };
    }
  }
}
