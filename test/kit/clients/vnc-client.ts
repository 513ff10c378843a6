import type { Socket } from "node:net";
import { connectSocket } from "./socket-client";

const CONTROL = 0xffe3;
const ALT = 0xffe9;
const RETURN = 0xff0d;
const SECURITY_NONE = 1;
const KEY_EVENT = 4;

/** Somebody at the keyboard of a VNC viewer, who does not look at the screen (RFC 6143). */
export class VncClient {
  private constructor(private readonly socket: Socket) {}

  /** Connects to `-vnc unix:<path>`, which may not be there yet. */
  static async connect(path: string): Promise<VncClient> {
    const socket = await connectSocket(path);
    const read = async (): Promise<Buffer> => new Promise((resolve) => socket.once("data", resolve));
    const version = await read();
    socket.write(version);
    await read();
    socket.write(Buffer.of(SECURITY_NONE));
    await read();
    // Shares the screen with others.
    socket.write(Buffer.of(1));
    await read();
    return new VncClient(socket);
  }

  #press(keysym: number, isDown: boolean): void {
    const message = Buffer.alloc(8);
    message.writeUInt8(KEY_EVENT, 0);
    message.writeUInt8(isDown ? 1 : 0, 1);
    message.writeUInt32BE(keysym, 4);
    this.socket.write(message);
  }

  /** Shows one of QEMU's consoles: Ctrl-Alt and its number, from 1. */
  selectConsole(number: number): void {
    const keys = [CONTROL, ALT, "0".charCodeAt(0) + number];
    for (const key of keys) this.#press(key, true);
    for (const key of keys.toReversed()) this.#press(key, false);
  }

  /** Types ASCII text, and Return. */
  typeLine(text: string): void {
    for (const key of [...Buffer.from(text, "latin1"), RETURN]) {
      this.#press(key, true);
      this.#press(key, false);
    }
  }

  close(): void {
    this.socket.destroy();
  }
}
