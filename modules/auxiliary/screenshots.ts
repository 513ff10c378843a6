import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Auxiliary, z } from "rebox/lab";
import { countDifferent, readPpm, type ScreenPicture, writePng } from "./_screen-picture";

const SETTINGS = {
  interval_ms: z.int().min(100).max(3_600_000).default(1000).describe("How often the screen is looked at."),
  most: z.int().min(1).max(9999).default(500).describe("How many pictures are kept; then no more are taken."),
  different_pixels: z
    .int()
    .min(1)
    .default(150)
    .describe("How many pixels have to differ from the last picture: a cursor that blinks is none."),
};

/** The longest that QEMU may take for one picture, in milliseconds. */
const PICTURE_MS = 10_000;

/** Takes pictures of the machine's screen where it has changed: shots/0001.png, shots/0002.png, ... */
export default class Screenshots extends Auxiliary<typeof SETTINGS> {
  static override readonly description = "Takes pictures of the screen whenever it has changed; rebox's machines only.";
  static override readonly settings = SETTINGS;
  static override readonly isUsual = true;

  private timer: NodeJS.Timeout | undefined;
  private last: ScreenPicture | undefined;
  private count = 0;
  private taking: Promise<void> | undefined;
  private isOver = false;

  override async machineStarted(): Promise<void> {
    this.getGuest();
    mkdirSync(join(this.run.folder, "shots"), { recursive: true });
    // A machine without a screen says so at once.
    await this.take();
    this.goOn();
  }

  /** Takes the last picture, too. */
  override async stop(): Promise<void> {
    this.isOver = true;
    clearTimeout(this.timer);
    await this.taking;
    if (this.last !== undefined) await this.take();
  }

  override finish(): void {
    rmSync(this.temporary, { force: true });
  }

  private get temporary(): string {
    return join(this.run.folder, "shots/next.ppm");
  }

  /** The next one is taken when this one is done, however long that takes. */
  private goOn(): void {
    if (this.isOver || this.count >= this.options.most) return;
    this.timer = setTimeout(() => {
      this.taking = this.take().then(
        () => this.goOn(),
        (error: Error) => this.log.warn(`no more pictures: ${error.message}`),
      );
    }, this.options.interval_ms);
  }

  private async take(): Promise<void> {
    if (this.count >= this.options.most) return;
    const signal = AbortSignal.timeout(PICTURE_MS);
    await this.getGuest().qmp("screendump", { filename: this.temporary, format: "ppm" }, signal);
    const picture = readPpm(readFileSync(this.temporary));
    const { different_pixels: least, most } = this.options;
    if (this.last !== undefined && countDifferent(picture, this.last, least) < least) return;
    this.last = picture;
    const file = `shots/${String(++this.count).padStart(4, "0")}.png`;
    writeFileSync(join(this.run.folder, file), writePng(picture));
    rmSync(this.temporary, { force: true });
    this.run.addEvent("screenshot", { file });
    if (this.count === most) this.log.warn(`${most} pictures are kept, and no more are taken (most)`);
  }
}
