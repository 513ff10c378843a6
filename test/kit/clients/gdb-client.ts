import { connect, type Socket } from "node:net";

/** Number of RIP in the register list of QEMU's gdb stub for x86-64: after the 16 general registers. */
const RIP = 0x10;
const CONNECT_TRIES = 200;
const RETRY_MS = 50;

function withChecksum(payload: string): string {
  const sum = Buffer.from(payload, "latin1").reduce((total, byte) => (total + byte) & 0xff, 0);
  return `$${payload}#${sum.toString(16).padStart(2, "0")}`;
}

/** A client of gdb's remote serial protocol, as far as stepping takes it. One request at a time. */
export class GdbClient {
  #buffer = "";
  #answer: ((payload: string) => void) | undefined;
  #more: string[] = [];

  private constructor(readonly socket: Socket) {
    socket.setEncoding("latin1").on("data", (text: string) => {
      this.#buffer += text;
      this.#read();
    });
  }

  /** Connects to `-gdb unix:<path>,server=on,wait=off`, which may not be there yet. */
  static async connect(path: string): Promise<GdbClient> {
    for (let left = CONNECT_TRIES; ; left--) {
      try {
        return await new Promise<GdbClient>((resolve, reject) => {
          const socket = connect(path, () => resolve(new GdbClient(socket)));
          socket.on("error", reject);
        });
      } catch (error) {
        if (left === 0) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  #read(): void {
    for (;;) {
      const packet = /\$([^#]*)#[0-9a-f]{2}/.exec(this.#buffer);
      if (!packet) return;
      this.#buffer = this.#buffer.slice(packet.index + packet[0].length);
      this.socket.write("+");
      const answer = this.#answer;
      this.#answer = undefined;
      if (answer) answer(packet[1]!);
      else this.#more.push(packet[1]!);
    }
  }

  /** Returns what comes behind the answer to the last request. */
  receive(): Promise<string> {
    const packet = this.#more.shift();
    if (packet !== undefined) return Promise.resolve(packet);
    return new Promise((resolve) => (this.#answer = resolve));
  }

  /** Sends a request and returns what comes back. */
  request(payload: string): Promise<string> {
    this.#more = [];
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.socket.write(withChecksum(payload));
    });
  }

  /** Sends a request that is not answered. */
  send(payload: string): void {
    this.socket.write(withChecksum(payload));
  }

  /** Reads RIP, which comes in the guest's byte order. */
  async readPc(): Promise<bigint> {
    const bytes = Buffer.from(await this.request(`p${RIP.toString(16)}`), "hex");
    if (bytes.length !== 8) throw new Error(`RIP has ${bytes.length} bytes`);
    return bytes.readBigUInt64LE();
  }

  close(): void {
    this.socket.destroy();
  }
}
