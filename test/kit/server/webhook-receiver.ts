import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** A message that a receiver has got. */
export interface ReceivedMessage {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Somebody's program that webhooks are sent to, on the loopback device. */
export class WebhookReceiver {
  readonly messages: ReceivedMessage[] = [];
  /** The statuses of the next answers; 204 when there are none left. */
  readonly statuses: number[] = [];
  readonly #server = createServer((request, answer) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      this.messages.push({ headers: request.headers, body: Buffer.concat(chunks).toString("utf8") });
      const status = this.statuses.shift() ?? 204;
      answer.writeHead(status, status === 302 ? { location: this.url } : {}).end();
    });
  });

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  /** Waits until so many messages have come. */
  async until(count: number): Promise<void> {
    while (this.messages.length < count) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  /** Lets a test have a receiver. */
  static async with(use: (receiver: WebhookReceiver) => Promise<void>): Promise<void> {
    const receiver = new WebhookReceiver();
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    try {
      await use(receiver);
    } finally {
      receiver.#server.closeAllConnections();
      receiver.#server.close();
    }
  }
}
