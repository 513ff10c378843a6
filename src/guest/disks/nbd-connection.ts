import { connect, type Socket } from "node:net";
import { type BlockSource, checkRange } from "./block-source";
import { ByteQueue } from "./byte-queue";
import { DiskError } from "./disk-error";
import {
  GREETING_MAGIC,
  INFO_EXPORT,
  makeDisconnect,
  makeHello,
  makeRead,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  OPTION_REPLY_SIZE,
  REPLY_ACK,
  REPLY_ERROR_BIT,
  REPLY_INFO,
  REPLY_MAGIC,
  REPLY_SIZE,
} from "./nbd-protocol";

const GREETING_SIZE = 18;
const LONGEST_OPTION_REPLY = 4096;
const LARGEST_READ = 1024 * 1024;
const HELLO_LIMIT_MS = 10_000;

interface Waiting {
  readonly size: number;
  resolve(bytes: Uint8Array): void;
  reject(error: Error): void;
}

/** A disk that QEMU's NBD server offers on a Unix socket, read only. */
export class NbdConnection implements BlockSource {
  readonly #socket: Socket;
  readonly #received = new ByteQueue();
  readonly #waiting = new Map<bigint, Waiting>();
  #phase: "greeting" | "options" | "data" = "greeting";
  #sizeBytes = 0;
  #lastCookie = 0n;
  #failure: DiskError | undefined;
  #onReady!: (error?: DiskError) => void;

  private constructor(
    socket: Socket,
    private readonly exportName: string,
  ) {
    this.#socket = socket;
    socket.on("data", (piece: Buffer) => {
      this.#received.push(piece);
      try {
        while (this.#advance());
      } catch (error) {
        this.#fail(error instanceof DiskError ? error : new DiskError(`the NBD server: ${(error as Error).message}`));
      }
    });
    socket.on("error", (error) => this.#fail(new DiskError(`the NBD server cannot be reached: ${error.message}`)));
    socket.on("close", () => this.#fail(new DiskError("the NBD server has closed the connection")));
  }

  /**
   * Connects to an export.
   *
   * @param path of the Unix socket
   * @throws DiskError when there is no such server or export
   */
  static async open(path: string, exportName: string): Promise<NbdConnection> {
    const connection = new NbdConnection(connect(path), exportName);
    const timer = setTimeout(() => connection.#fail(new DiskError("the NBD server says nothing")), HELLO_LIMIT_MS);
    try {
      await new Promise<void>((resolve, reject) => {
        connection.#onReady = (error) => (error ? reject(error) : resolve());
      });
    } finally {
      clearTimeout(timer);
    }
    return connection;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async read(offset: number, size: number): Promise<Uint8Array> {
    checkRange(this, offset, size);
    if (size <= LARGEST_READ) return this.#request(offset, size);
    const pieces: Promise<Uint8Array>[] = [];
    for (let done = 0; done < size; done += LARGEST_READ) {
      pieces.push(this.#request(offset + done, Math.min(LARGEST_READ, size - done)));
    }
    return Buffer.concat(await Promise.all(pieces));
  }

  /** Ends the connection; what is still waited for fails. */
  close(): void {
    if (!this.#failure) this.#socket.end(makeDisconnect());
    this.#fail(new DiskError("the disk was closed"));
  }

  #request(offset: number, size: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const cookie = ++this.#lastCookie;
      this.#waiting.set(cookie, { size, resolve, reject });
      this.#socket.write(makeRead(cookie, offset, size));
    });
  }

  /** @returns whether there may be another message */
  #advance(): boolean {
    switch (this.#phase) {
      case "greeting":
        return this.#readGreeting();
      case "options":
        return this.#readOption();
      case "data":
        return this.#readReply();
    }
  }

  #readGreeting(): boolean {
    const greeting = this.#received.take(GREETING_SIZE);
    if (!greeting) return false;
    if (greeting.readBigUInt64BE(0) !== GREETING_MAGIC || greeting.readBigUInt64BE(8) !== OPTION_MAGIC) {
      throw new DiskError("this is no NBD server");
    }
    this.#socket.write(makeHello(this.exportName));
    this.#phase = "options";
    return true;
  }

  #readOption(): boolean {
    const header = this.#received.peek(OPTION_REPLY_SIZE);
    if (!header) return false;
    const size = header.readUInt32BE(16);
    if (header.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC || size > LONGEST_OPTION_REPLY) {
      throw new DiskError("the NBD server does not keep to its protocol");
    }
    const reply = this.#received.take(OPTION_REPLY_SIZE + size)?.subarray(OPTION_REPLY_SIZE);
    if (!reply) return false;
    const type = header.readUInt32BE(12);
    if (type >= REPLY_ERROR_BIT) {
      throw new DiskError(`the NBD server refuses ${this.exportName}: ${reply.toString("utf8") || `error ${type}`}`);
    }
    if (type === REPLY_INFO && reply.readUInt16BE(0) === INFO_EXPORT) {
      this.#sizeBytes = Number(reply.readBigUInt64BE(2));
    }
    if (type === REPLY_ACK) {
      this.#phase = "data";
      this.#onReady();
    }
    return true;
  }

  #readReply(): boolean {
    const header = this.#received.peek(REPLY_SIZE);
    if (!header) return false;
    const cookie = header.readBigUInt64BE(8);
    const error = header.readUInt32BE(4);
    const waiting = this.#waiting.get(cookie);
    if (header.readUInt32BE(0) !== REPLY_MAGIC || !waiting) throw new DiskError("the NBD server sends nonsense");
    const reply = this.#received.take(REPLY_SIZE + (error === 0 ? waiting.size : 0));
    if (!reply) return false;
    this.#waiting.delete(cookie);
    if (error === 0) waiting.resolve(reply.subarray(REPLY_SIZE));
    else waiting.reject(new DiskError(`the disk cannot be read: error ${error} of QEMU's block layer`));
    return true;
  }

  #fail(error: DiskError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#onReady?.(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    // Close waits until the goodbye is written.
    if (!this.#socket.writableEnded) this.#socket.destroy();
    else this.#socket.destroySoon();
  }
}
