import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ControlClient } from "../../../src/shell/line/control-client";
import { defaultKit } from "../guests/guest-kits";
import { TmuxTerminal } from "./tmux-terminal";
import { REBOX } from "../project";

/** How a guest is shown in a terminal. */
export interface UiOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly term?: string;
  /** Of `rebox run`; without "--control". */
  readonly reboxArgs?: readonly string[];
  readonly qemuArgs?: readonly string[];
  /** The source of a trusted script. */
  readonly script?: string;
  /** The guest kit's task; by default a shell on the serial line. */
  readonly task?: string;
}

/** `rebox run` in a terminal, and a shell beside it that asks QEMU's own monitor. */
export class UiRun {
  readonly #others: TmuxTerminal[] = [];

  private constructor(
    readonly terminal: TmuxTerminal,
    /** The control socket. */
    readonly socket: string,
    readonly client: ControlClient,
  ) {}

  /** Boots a guest in a terminal, with the terminal UI unless reboxArgs say otherwise, and ends both when the test is done. */
  static async with(options: UiOptions, use: (run: UiRun) => Promise<void>): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "rebox-ui-test-"));
    const terminal = await TmuxTerminal.open(options.columns ?? 80, options.rows ?? 24, options.term);
    const socket = join(folder, "control");
    const script = join(folder, "script.ts");
    if (options.script !== undefined) writeFileSync(script, options.script);
    const scriptArgs = options.script === undefined ? [] : ["--trust", "--script", script];
    try {
      await terminal.enter(runLine(options, "--control", socket, ...(options.reboxArgs ?? ["--ui"]), ...scriptArgs));
      const client = await connect(socket, terminal);
      const run = new UiRun(terminal, socket, client);
      try {
        await use(run);
      } finally {
        for (const other of run.#others) await other.close();
        await client.run("quit machine");
        await client.ended;
      }
    } finally {
      await terminal.close();
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Opens another terminal, closed when the test is done. */
  async openTerminal(columns: number, rows: number, term?: string): Promise<TmuxTerminal> {
    const other = await TmuxTerminal.open(columns, rows, term);
    this.#others.push(other);
    return other;
  }

  /** Opens another terminal in which `rebox attach` shows the same guest. */
  async attach(columns: number, rows: number, term?: string, ...more: readonly string[]): Promise<TmuxTerminal> {
    const other = await this.openTerminal(columns, rows, term);
    await other.enter(this.attachLine(...more));
    return other;
  }

  /** The command line that attaches to the guest. */
  attachLine(...more: readonly string[]): string {
    return quote(rebox("attach", this.socket, ...more));
  }

  /** Runs a line in the shell beside, and returns its data. */
  async data<Data>(line: string): Promise<Data> {
    const answer = await this.client.run(line);
    if (answer.error !== undefined) throw new Error(`${line}: ${answer.error}`);
    return answer.data as Data;
  }

  /** The registers that QEMU's own monitor shows. */
  async monitorRegisters(): Promise<ReadonlyMap<string, bigint>> {
    const shown = await this.data<string>("hmp info registers");
    return new Map(
      [...shown.matchAll(/\b([A-Z0-9]+) ?=([0-9a-f]{8,16})\b/g)].map(([, name, value]) => [
        name!,
        BigInt(`0x${value}`),
      ]),
    );
  }

  /** Waits until the guest is in this state. */
  async untilState(state: string): Promise<void> {
    while ((await this.data<{ state: string }>("status")).state !== state) await sleep(20);
  }

  /** Waits until the guest's shell has a prompt, which the console shows. */
  async untilGuestPrompt(): Promise<void> {
    let text = "";
    this.client.onEvent = (event) => {
      if (event.event === "console") text += event.text;
    };
    this.client.watch();
    while (!text.includes("/ # ")) await sleep(20);
  }
}

/** Returns the command line of `rebox run` on a guest, for the shell of a terminal. */
export function runLine(options: UiOptions, ...reboxArgs: readonly string[]): string {
  return quote([...rebox("run", ...reboxArgs), ...guest(options)]);
}

function rebox(...args: readonly string[]): string[] {
  return [process.execPath, REBOX, ...args];
}

function guest({ qemuArgs = [], task }: UiOptions): string[] {
  const { kernel, initramfs } = defaultKit();
  const run = task === undefined ? "" : `rebox.run=${task}`;
  const append = `console=ttyS0 quiet no_timer_check panic=-1 ${run}`.trim();
  const machine = ["-m", "256", "-display", "none", "-nic", "none", "-no-reboot", "-monitor", "none"];
  return ["--", ...machine, "-kernel", kernel, "-initrd", initramfs, "-append", append, ...qemuArgs];
}

function quote(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}

async function connect(socket: string, terminal: TmuxTerminal): Promise<ControlClient> {
  let client: ControlClient | undefined;
  await terminal.until("the control socket", async () => {
    client = await ControlClient.connect(socket).catch(() => undefined);
    return client;
  });
  return client as ControlClient;
}
