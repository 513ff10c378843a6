import { once } from "node:events";
import WebSocket from "ws";
import type { Role } from "../../../src/server/accounts/roles";
import type { TestServer } from "./test-server";

/** A program that looks at a machine by a WebSocket. */
export class LiveClient {
  #received = Buffer.alloc(0);
  #ended: { readonly code: number; readonly reason: string } | undefined;

  private constructor(private readonly socket: WebSocket) {
    socket.on("message", (data: Buffer) => (this.#received = Buffer.concat([this.#received, data])));
    socket.on("close", (code, reason) => (this.#ended = { code, reason: String(reason) }));
    socket.on("error", () => undefined);
  }

  /**
   * Connects with the token of a user, or with headers.
   *
   * @returns the client, or the status by which it was refused
   */
  static async open(
    { url, tokens }: Pick<TestServer, "url" | "tokens">,
    who: Role | Readonly<Record<string, string>>,
    path: string,
  ): Promise<LiveClient | number> {
    const headers = typeof who === "string" ? { authorization: `Bearer ${tokens[who]}` } : who;
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}${path}`, { headers });
    const client = new LiveClient(socket);
    return new Promise((resolve) => {
      socket.once("open", () => resolve(client));
      socket.once("unexpected-response", (_request, answer) => {
        resolve(answer.statusCode!);
        socket.terminate();
      });
    });
  }

  send(bytes: Uint8Array | string): void {
    this.socket.send(bytes);
  }

  /** Waits until so many bytes have come, and takes them. */
  async take(count: number): Promise<Buffer> {
    while (this.#received.length < count) await once(this.socket, "message");
    const taken = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return taken;
  }

  /** Waits until a text has come. @returns all that came */
  async until(text: string): Promise<string> {
    while (!this.#received.includes(text)) await once(this.socket, "message");
    return this.#received.toString("utf8");
  }

  /** Waits for the end. */
  async untilEnded(): Promise<{ readonly code: number; readonly reason: string }> {
    if (this.#ended === undefined) await once(this.socket, "close");
    return this.#ended!;
  }

  /** Does what a viewer does first (RFC 6143, 7.1 to 7.3). @returns the name of the machine's screen */
  async shakeHands(): Promise<string> {
    this.send(await this.take(12));
    const [count] = await this.take(1);
    await this.take(count!);
    this.send(Buffer.of(1));
    await this.take(4);
    // It wants to be alone.
    this.send(Buffer.of(0));
    const init = await this.take(24);
    return (await this.take(init.readUInt32BE(20))).toString("utf8");
  }

  /** Asks for the whole screen, and waits for a picture. @returns its number of rectangles */
  async askForPicture(width: number, height: number): Promise<number> {
    const request = Buffer.alloc(10);
    request[0] = 3;
    request.writeUInt16BE(width, 6);
    request.writeUInt16BE(height, 8);
    this.send(request);
    const head = await this.take(4);
    return head.readUInt16BE(2);
  }

  close(): void {
    this.socket.close();
  }
}

/** Makes the message of a key that goes down. */
export function keyDown(keysym: number): Buffer {
  const message = Buffer.alloc(8);
  message[0] = 4;
  message[1] = 1;
  message.writeUInt32BE(keysym, 4);
  return message;
}
