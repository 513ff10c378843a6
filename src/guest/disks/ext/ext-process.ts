import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { getBuiltFolder } from "../../../config/folders";
import type { BlockSource } from "../block-source";
import { ByteQueue } from "../byte-queue";
import { DiskError } from "../../errors";

/** One command may make the program ask for so much of the disk; a file system that needs more leads around in circles. */
const MOST_BYTES = 512 * 1024 * 1024;
/** The longest that the program may work between two messages; it is stopped then. */
const SILENCE_LIMIT_MS = 30_000;
const LARGEST_MESSAGE = 4 * 1024 * 1024;
const HEADER = 5;

interface Command {
  /** Called with each part of the answer that comes before its end. */
  readonly onEntries: ((batch: Buffer) => void) | undefined;
  bytesLeft: number;
  resolve(answer: Buffer): void;
  reject(error: Error): void;
}

/** The program that reads one ext file system; native/ext4/ext4_reader.c says how one speaks with it. */
export class ExtProcess {
  readonly #child: ChildProcess;
  readonly #received = new ByteQueue();
  #command: Command | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #failure: DiskError | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Starts the program.
   *
   * @param volume what it asks for
   * @throws DiskError when it is not built
   */
  constructor(private readonly volume: BlockSource) {
    const program = join(getBuiltFolder("ext4"), "ext4_reader");
    if (!existsSync(program)) {
      throw new DiskError(`${program} is not built: ext4 cannot be read without it; run \`npm run setup\``);
    }
    this.#child = spawn(program, [], { stdio: ["pipe", "pipe", "ignore"], env: {}, cwd: "/" });
    this.#child.on("error", (error) => this.#fail(`it cannot be started: ${error.message}`));
    this.#child.on("close", (status, signal) => this.#fail(`it has ended with ${signal ?? `status ${status}`}`));
    // Writing to a program that has ended fails; "close" reports its end.
    this.#child.stdin?.on("error", () => undefined);
    this.#child.stdout?.on("data", (piece: Buffer) => {
      this.#received.push(piece);
      while (this.#advance());
    });
  }

  /**
   * Executes a command; one after the other.
   *
   * @throws DiskError with what the library says, or when the program has ended
   */
  execute(kind: string, payload: Buffer, onEntries?: (batch: Buffer) => void): Promise<Buffer> {
    const act = (): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        if (this.#failure) return reject(this.#failure);
        this.#command = { onEntries, bytesLeft: MOST_BYTES, resolve, reject };
        this.#send(kind, payload);
      });
    const answer = this.#queue.then(act, act);
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  /** Ends the program. */
  close(): void {
    this.#fail("it was closed");
  }

  #send(kind: string, payload: Uint8Array): void {
    const header = Buffer.alloc(HEADER);
    header.writeUInt32LE(payload.length + 1, 0);
    header.write(kind, 4, "latin1");
    this.#child.stdin?.write(header);
    this.#child.stdin?.write(payload);
    this.#restartTimer();
  }

  #restartTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(`it found nothing in ${SILENCE_LIMIT_MS / 1000} s`), SILENCE_LIMIT_MS);
    this.#timer.unref();
  }

  /** @returns whether there may be another message */
  #advance(): boolean {
    const header = this.#received.peek(HEADER);
    if (!header || this.#failure) return false;
    const size = header.readUInt32LE(0) - 1;
    if (size < 0 || size > LARGEST_MESSAGE) {
      this.#fail("it does not keep to its protocol");
      return false;
    }
    const message = this.#received.take(HEADER + size);
    if (!message) return false;
    this.#restartTimer();
    this.#handle(message.toString("latin1", 4, 5), message.subarray(HEADER));
    return true;
  }

  #handle(kind: string, payload: Buffer): void {
    const command = this.#command;
    if (kind === "B") {
      void this.#provide(Number(payload.readBigUInt64LE(0)), payload.readUInt32LE(8));
      return;
    }
    if (kind === "E") {
      try {
        command?.onEntries?.(Buffer.from(payload));
      } catch (error) {
        this.#fail((error as Error).message);
      }
      return;
    }
    clearTimeout(this.#timer);
    this.#command = undefined;
    if (kind === "R") command?.resolve(Buffer.from(payload));
    else command?.reject(new DiskError(payload.toString("utf8")));
  }

  async #provide(offset: number, size: number): Promise<void> {
    const command = this.#command;
    if (command && (command.bytesLeft -= size) < 0) {
      this.#fail(`one question made it read ${MOST_BYTES >> 20} MiB: the file system leads around in circles`);
      return;
    }
    try {
      // Waiting for the disk is not the program's silence.
      clearTimeout(this.#timer);
      const bytes = await this.volume.read(offset, size);
      if (!this.#failure) this.#send("A", Buffer.concat([Buffer.from([0]), bytes]));
    } catch {
      if (!this.#failure) this.#send("A", Buffer.from([1]));
    }
  }

  #fail(problem: string): void {
    if (this.#failure) return;
    this.#failure = new DiskError(`the program that reads ext file systems: ${problem}`);
    clearTimeout(this.#timer);
    this.#command?.reject(this.#failure);
    this.#command = undefined;
    this.#child.kill("SIGKILL");
  }
}
