import { connect, type Socket } from "node:net";
import { DiskError } from "../errors";
import { type BlockSource, checkRange } from "./block-source";
import { ByteQueue } from "./byte-queue";

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

// The messages of the network block device protocol that reading a disk needs, as
// https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md has them. All numbers are big-endian.

const GREETING_MAGIC = 0x4e42444d41474943n;
const OPTION_MAGIC = 0x49484156454f5054n;
const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;

/** NBD_FLAG_FIXED_NEWSTYLE, and the client's flag of the same value. */
const FIXED_NEWSTYLE = 1;
/** NBD_OPT_GO. */
const OPTION_GO = 7;
const OPTION_REPLY_SIZE = 20;
const REPLY_SIZE = 16;
const REPLY_ACK = 1;
const REPLY_INFO = 3;
/** NBD_REP_FLAG_ERROR. */
const REPLY_ERROR_BIT = 0x80000000;
/** NBD_INFO_EXPORT: the size in bytes and what the export can do. */
const INFO_EXPORT = 0;

const COMMAND_READ = 0;
const COMMAND_DISCONNECT = 2;

/** Makes the answer to the server's greeting, and the wish to use an export. */
function makeHello(exportName: string): Buffer {
  const name = Buffer.from(exportName);
  const hello = Buffer.alloc(4 + 16 + 4 + name.length + 2);
  hello.writeUInt32BE(FIXED_NEWSTYLE, 0);
  hello.writeBigUInt64BE(OPTION_MAGIC, 4);
  hello.writeUInt32BE(OPTION_GO, 12);
  hello.writeUInt32BE(4 + name.length + 2, 16);
  hello.writeUInt32BE(name.length, 20);
  name.copy(hello, 24);
  return hello;
}

/** Makes the request for a piece of the disk. */
function makeRead(cookie: bigint, offset: number, size: number): Buffer {
  return makeRequest(COMMAND_READ, cookie, offset, size);
}

/** Makes the request to end the connection, which has no answer. */
function makeDisconnect(): Buffer {
  return makeRequest(COMMAND_DISCONNECT, 0n, 0, 0);
}

function makeRequest(command: number, cookie: bigint, offset: number, size: number): Buffer {
  const request = Buffer.alloc(28);
  request.writeUInt32BE(REQUEST_MAGIC, 0);
  request.writeUInt16BE(command, 6);
  request.writeBigUInt64BE(cookie, 8);
  request.writeBigUInt64BE(BigInt(offset), 16);
  request.writeUInt32BE(size, 24);
  return request;
}
