import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Auxiliary, AuxiliaryDisabled, z } from "rebox/lab";
import { type HumanAct, readInstructions } from "./_human-instructions";
import { readPpm } from "./_screen-picture";

const SETTINGS = {
  instructions: z
    .string()
    .optional()
    .meta({
      examples: ["(100:200) click 500ms key:ret stop"],
      description:
        "What is done; without it the mouse moves to random places. An analysis may have its own: human_instructions.",
    }),
  interval_ms: z.int().min(10).max(3_600_000).default(1000).describe("Between two random places."),
  clicks: z.boolean().default(true).describe("Click at random places, too."),
  most: z.int().min(1).default(100_000).describe("How many acts; then nothing more is done."),
};

/** How long a key or a button is held, and what is between two of them, in milliseconds. */
const HOLD_MS = 40;
const PAUSE_MS = 40;
/** The values of an axis of a device that tells places (INPUT_EVENT_ABS_MAX of QEMU). */
const LARGEST_ABSOLUTE = 0x7fff;
/** How far a mouse moves at once, in pixels, and what it gets for that, in milliseconds: it remembers a few movements only. */
const STEP = 100;
const STEP_MS = 15;

/** Uses keyboard and mouse as a person would: programs that wait for one go on. */
export default class Human extends Auxiliary<typeof SETTINGS> {
  static override readonly description = "Uses keyboard and mouse; rebox's machines only.";
  static override readonly settings = SETTINGS;

  private readonly end = new AbortController();
  private acting: Promise<void> | undefined;
  private acts: readonly HumanAct[] | undefined;
  /** Where the mouse is, when it tells movements only. */
  private place: { x: number; y: number } | undefined;
  private count = 0;

  override start(): void {
    const { nohuman, human_instructions: own } = this.run.options;
    if (nohuman !== undefined && !/^(0|no|off|false)$/i.test(nohuman))
      throw new AuxiliaryDisabled("the option nohuman");
    const text = own ?? this.options.instructions;
    this.acts = text === undefined ? undefined : readInstructions(text);
  }

  override machineStarted(): void {
    this.getGuest();
    this.acting = this.act().catch((error: Error) => {
      if (!this.end.signal.aborted) this.log.warn(`nothing more is done: ${error.message}`);
    });
  }

  override async stop(): Promise<void> {
    this.end.abort();
    await this.acting;
    this.log.info(`${this.count} acts`);
  }

  override finish(): void {
    rmSync(this.temporary, { force: true });
  }

  private get temporary(): string {
    return join(this.run.folder, "human.ppm");
  }

  private async act(): Promise<void> {
    if (this.acts?.length === 0) return;
    for (;;) {
      for (const act of this.acts ?? (await this.chooseActs())) {
        if (act.what === "stop" || this.end.signal.aborted) return;
        if (this.count >= this.options.most) {
          this.log.warn(`${this.options.most} acts are done, and no more (most)`);
          return;
        }
        this.count++;
        await this.actOnce(act);
      }
      // A list without a wait must not keep the guest busy.
      await sleep(PAUSE_MS, undefined, { signal: this.end.signal });
    }
  }

  private async chooseActs(): Promise<HumanAct[]> {
    const { width, height } = await this.readScreen();
    const { interval_ms: ms, clicks } = this.options;
    const any = (size: number) => Math.floor(Math.random() * size);
    return [
      { what: "move", x: any(width), y: any(height) },
      ...(clicks ? [{ what: "click", button: "left", times: 1 } as const] : []),
      { what: "wait", ms },
    ];
  }

  private async actOnce(act: HumanAct): Promise<void> {
    const { signal } = this.end;
    if (act.what === "wait") return void (await sleep(act.ms, undefined, { signal }));
    if (act.what === "move") return this.move(act.x, act.y);
    if (act.what === "keys") {
      const keys = act.keys.map((key) => ({ type: "qcode", data: key }));
      await this.getGuest().qmp("send-key", { keys, "hold-time": HOLD_MS }, signal);
      return void (await sleep(HOLD_MS + PAUSE_MS, undefined, { signal }));
    }
    if (act.what !== "click") return;
    for (let time = 0; time < act.times; time++) {
      for (const down of [true, false]) {
        await this.send([{ type: "btn", data: { button: act.button, down } }]);
        await sleep(down ? HOLD_MS : PAUSE_MS, undefined, { signal });
      }
    }
  }

  /** A tablet is told the place; a mouse is moved into the upper left corner first, and then by what it is away from that. */
  private async move(x: number, y: number): Promise<void> {
    const mice = (await this.getGuest().qmp("query-mice", {}, this.end.signal)) as MouseFacts[];
    if (mice.find(({ current }) => current)?.absolute) {
      const { width, height } = await this.readScreen();
      const scale = (value: number, size: number) =>
        Math.round((Math.min(value, size - 1) * LARGEST_ABSOLUTE) / Math.max(size - 1, 1));
      return this.send(axes("abs", scale(x, width), scale(y, height)));
    }
    if (this.place === undefined) {
      const { width, height } = await this.readScreen();
      await this.glide(-width, -height);
    }
    const { x: fromX, y: fromY } = this.place ?? { x: 0, y: 0 };
    await this.glide(x - fromX, y - fromY);
    this.place = { x, y };
  }

  /** Moves a mouse on a straight line. */
  private async glide(dx: number, dy: number): Promise<void> {
    const steps = Math.ceil(Math.max(Math.abs(dx), Math.abs(dy)) / STEP);
    const at = (distance: number, step: number) => Math.round((distance * step) / steps);
    for (let step = 1; step <= steps; step++) {
      await this.send(axes("rel", at(dx, step) - at(dx, step - 1), at(dy, step) - at(dy, step - 1)));
      await sleep(STEP_MS, undefined, { signal: this.end.signal });
    }
  }

  private async send(events: readonly object[]): Promise<void> {
    await this.getGuest().qmp("input-send-event", { events }, this.end.signal);
  }

  private async readScreen(): Promise<{ readonly width: number; readonly height: number }> {
    await this.getGuest().qmp("screendump", { filename: this.temporary, format: "ppm" }, this.end.signal);
    return readPpm(readFileSync(this.temporary));
  }
}

interface MouseFacts {
  readonly current: boolean;
  readonly absolute: boolean;
}

function axes(type: "abs" | "rel", x: number, y: number): object[] {
  return [
    { type, data: { axis: "x", value: x } },
    { type, data: { axis: "y", value: y } },
  ];
}
