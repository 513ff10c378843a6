import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { text as readText } from "node:stream/consumers";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { guestArgs } from "./guest-args";
import type { GuestKit } from "./guest-kits";
import { runRebox, SLOWNESS } from "./guest-run";
import { REBOX } from "../project";

/** A `rebox record` or `rebox replay`, and what came of it. */
export interface RecordingRun {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What scripts printed, in order. */
  readonly messages: readonly string[];
  /** The text of the guest's console. */
  readonly console: string;
  /** Of the line of the JSON log about the recording. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface RecordingOptions {
  readonly script?: string;
  readonly reboxArgs?: readonly string[];
  readonly timeoutMs?: number;
  readonly onStart?: (pid: number) => void;
}

/** Sums up registers and the first 256 MB of RAM, in the words of the shell. */
export const SUM_UP = `!((s,mul)=>{for(let a=0x100000n;a<0x10000000n;a=(a|0xffffffn)+1n){const b=viewPa(a,Number(((a|0xffffffn)+1n)-a));const w=new Uint32Array(b.buffer,b.byteOffset,b.byteLength/4);const n=w.length;for(let i=0;i<n;i++)s=mul(s^w[i],0x01000193)}return [s,...["RIP","RSP","RAX","RBX","RSI","RDI","RFLAGS","CR2","CR3"].map((n)=>String(readCpu(0)[n]))].join()})(7,Math.imul)`;

/** The machine with the guest kit and a task, whose console goes into a file. */
export function machineArgs(
  console: string,
  task = "poweroff",
  more: readonly string[] = [],
  kit?: GuestKit,
): string[] {
  const own = new Set(more.filter((word) => word.startsWith("-")));
  const args = guestArgs(console, task, {}, "loglevel=7", kit);
  // A network of the test's own takes the place of none.
  const nic = args.indexOf("-nic");
  if (own.has("-nic")) args.splice(nic, 2);
  return [...args, ...more];
}

/** A folder with recordings, which goes with the test. */
export class RecordingFolder {
  readonly path = mkdtempSync(join(tmpdir(), "rebox-recordings-"));
  #runs = 0;

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  /** The path of a file or folder in it; an absolute one is itself. */
  place(name: string): string {
    return resolve(this.path, name);
  }

  /** Writes a file into it. */
  write(name: string, text: string): void {
    writeFileSync(this.place(name), text);
  }

  /** Records a machine; the arguments get the file of its console. */
  record(
    name: string,
    getArgs: (console: string) => readonly string[],
    options: RecordingOptions = {},
  ): Promise<RecordingRun> {
    const console = this.place(`console-${++this.#runs}.txt`);
    return this.#run(["record", "-o", this.place(name)], console, options, ["--", ...getArgs(console)]);
  }

  /** Replays a recording with a shell. @returns its answers, one for each line, without the end of the last one */
  async ask(name: string, lines: readonly string[], reboxArgs: readonly string[] = []): Promise<string[]> {
    const console = this.place(`console-${++this.#runs}.txt`);
    const args = [REBOX, "replay", this.place(name), "--console", console, "--shell", ...reboxArgs];
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    // What the replay itself says is in between: each answer begins behind a mark.
    child.stdin.end(lines.flatMap((line) => [`!"=== answer"`, line, ""]).join("\n") + "quit machine\n");
    const [text] = await Promise.all([readText(child.stdout), once(child, "exit")]);
    return text
      .split(/^'=== answer'\n/m)
      .slice(1)
      .map((answer) => answer.replace(/the machine ends\n$/, "").trimEnd());
  }

  /** Replays a recording. */
  replay(name: string, options: RecordingOptions = {}): Promise<RecordingRun> {
    const console = this.place(`console-${++this.#runs}.txt`);
    return this.#run(["replay", this.place(name), "--console", console], console, options, []);
  }

  async #run(
    command: readonly string[],
    console: string,
    { script, reboxArgs = [], timeoutMs = 100_000, onStart }: RecordingOptions,
    qemuArgs: readonly string[],
  ): Promise<RecordingRun> {
    const [log, file] = [this.place(`log-${this.#runs}.json`), this.place(`script-${this.#runs}.ts`)];
    for (const path of [log, console]) writeFileSync(path, "");
    const scripts = script === undefined ? [] : ["--trust", "--script", file];
    if (script !== undefined) writeFileSync(file, script);
    const args = [...command, "--json", log, ...scripts, ...reboxArgs, ...qemuArgs];
    const run = await runRebox(args, timeoutMs * SLOWNESS, onStart);
    const lines = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line !== "");
    const events = lines.map((line) => JSON.parse(line) as { type: string; text?: string });
    return {
      ...run,
      console: readFileSync(console, "latin1"),
      messages: events.filter(({ type }) => type === "message").map(({ text = "" }) => text),
      detail: { ...events.find(({ type }) => type === "recording") },
    };
  }
}
