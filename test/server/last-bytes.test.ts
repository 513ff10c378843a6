import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket, { WebSocketServer } from "ws";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { appendEvent } from "../../src/lab/analysis/event-log";
import { orderEvents } from "../../src/lab/analysis/order-events";
import { followFile } from "../../src/server/live/follow-file";
import { openRemoteView } from "../../src/server/live/remote-view";
import { inFolder } from "../kit/in-folder";
import { withServer } from "../kit/server/test-server";

const LAST = "the machine has gone off";

/** Listens for WebSockets as long as something is done with it. */
async function withSockets(onSocket: (socket: WebSocket) => void, use: (url: string) => Promise<void>): Promise<void> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", onSocket);
  await once(server, "listening");
  try {
    await use(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    for (const client of server.clients) client.terminate();
    server.close();
  }
}

describe("the last bytes", () => {
  test("of a machine of another host reach the viewer before the reason, also of one that is slow", async () => {
    const sent = Array.from({ length: 80 }, () => randomBytes(100_000));
    // A host that says much, and ends the view at once.
    const onHost = (socket: WebSocket) => {
      for (const bytes of sent) socket.send(bytes);
      socket.close(1000, LAST);
    };
    await withSockets(onHost, async (host) => {
      const cluster = {
        findAnalysis: async () => ({ id: "x", host: "one", machine: "office", phase: "running" }) as never,
        findLive: async () => ({ url: host, word: "w" }),
      };
      const onViewer = (socket: WebSocket) => void openRemoteView(cluster, 1, { socket, kind: "console", mayType: true, signal: AbortSignal.timeout(10_000) }); // prettier-ignore
      await withSockets(onViewer, async (url) => {
        const viewer = new WebSocket(url);
        const received: Buffer[] = [];
        viewer.on("message", (data: Buffer) => {
          received.push(data);
          viewer.pause();
          setTimeout(() => viewer.resume(), 2);
        });
        const [code, reason] = (await once(viewer, "close")) as [number, Buffer];
        assert.deepEqual([code, String(reason)], [1000, LAST]);
        assert.ok(Buffer.concat(received).equals(Buffer.concat(sent)));
      });
    });
  });

  test("of a serial console are read although the machine is off by then", async () => {
    await inFolder(async (folder) => {
      const log = join(folder, "console.log");
      writeFileSync(log, "begun\n");
      const [stop, last] = [new AbortController(), new AbortController()];
      let read = "";
      const done = followFile(log, 1 << 10, { stop: stop.signal, last: last.signal }, (bytes) => void (read += bytes.toString())); // prettier-ignore
      while (read === "") await sleep(10);
      appendFileSync(log, `${"x".repeat(200_000)}\npower down\n`);
      last.abort();
      await done;
      assert.match(read, /^begun\nx{200000}\npower down\n$/);
    });
  });

  test("of the events of an analysis are streamed, also those behind their ordering", async () => {
    await withServer({}, async ({ lab, ask }) => {
      const database = openDatabase(lab.folder);
      try {
        const id = database.add({ machine: undefined, target: undefined, command: "x", options: {}, timeoutS: 60, scripts: [] }); // prettier-ignore
        const folder = join(lab.folder, "analyses", String(id));
        mkdirSync(folder, { recursive: true });
        const line = (second: number) => `${JSON.stringify({ time: `2026-01-01T00:00:0${second}.000Z`, at: second, type: "test.event" })}\n`; // prettier-ignore
        writeFileSync(join(folder, "events.jsonl"), line(2) + line(1));
        const answer = await ask("reader", `/api/v1/analyses/${id}/events/stream`);
        const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
        let text = "";
        const read = async () => {
          const { done, value = "" } = await reader.read();
          text += value;
          return !done;
        };
        while (!text.includes('"at":1')) await read();
        orderEvents(folder);
        appendEvent(folder, "phase", { phase: "ended" });
        database.end(id, "finished", "over");
        while (await read());
        assert.deepEqual([...text.matchAll(/"at":(\d)/g)].map(([, at]) => at), ["2", "1"]); // prettier-ignore
        assert.match(text, /^data: .*"phase":"ended","type":"phase"\}\n\nevent: end\ndata: \{"outcome":"finished"/m);
      } finally {
        database.close();
      }
    });
  });
});
