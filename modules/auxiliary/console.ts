import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Auxiliary, z } from "rebox/lab";

const SETTINGS = {
  most_bytes: z
    .int()
    .min(1024)
    .default(16 << 20)
    .describe("How many bytes are kept, from the beginning."),
};

const POLL_MS = 250;
const CHUNK = 1 << 16;

/** Records what the guest writes to its first serial port, into console.log. */
export default class Console extends Auxiliary<typeof SETTINGS> {
  static override readonly description = "Records the serial console, into console.log; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly isUsual = true;

  /** The last to stop: what others let the guest say is recorded. */
  override stopPriority = -10;

  private target: number | undefined;
  private source: number | undefined;
  private timer: NodeJS.Timeout | undefined;
  private unwatch: (() => void) | undefined;
  private size = 0;
  private wasCut = false;

  override async machineStarted(): Promise<void> {
    const guest = this.getGuest();
    const observation = await this.observe("engine/console.ts", {}, () => {});
    const { file } = (await observation.end()) as { file: string | null };
    this.target = openSync(join(this.run.folder, "console.log"), "w");
    if (file === null) {
      // Where the arguments of QEMU say nothing about serial ports, the first one comes to the engine itself.
      this.unwatch = await guest.watch((event) => {
        if (event.event === "console") this.write(Buffer.from(event.text));
      });
      return;
    }
    this.source = openSync(file, "r");
    this.timer = setInterval(() => this.copy(), POLL_MS);
  }

  override stop(): void {
    clearInterval(this.timer);
    this.unwatch?.();
    if (this.source !== undefined) {
      this.copy();
      closeSync(this.source);
    }
    if (this.target !== undefined) closeSync(this.target);
    this.source = this.target = undefined;
    if (this.wasCut) this.log.warn(`the console has written more than ${this.options.most_bytes} bytes (most_bytes)`);
  }

  private copy(): void {
    const chunk = Buffer.alloc(CHUNK);
    for (let length = readSync(this.source!, chunk); length > 0; length = readSync(this.source!, chunk)) {
      this.write(chunk.subarray(0, length));
    }
  }

  private write(bytes: Buffer): void {
    const kept = bytes.subarray(0, this.options.most_bytes - this.size);
    this.wasCut ||= kept.length < bytes.length;
    this.size += kept.length;
    if (kept.length > 0) writeSync(this.target!, kept);
  }
}
