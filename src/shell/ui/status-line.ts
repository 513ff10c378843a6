import type { LineAnswer } from "../line/line-runner";
import { findData, type Moment } from "./pane";
import type { Span } from "./styled-line";

interface Status {
  readonly cpu: number;
  readonly process?: { readonly pid?: number; readonly name: string };
  readonly running?: { readonly pid: number; readonly name: string };
  readonly instructions?: number;
}

/** The first row: the state of the guest, the process of the commands, hits of breakpoints. */
export class StatusLine {
  /** The machine's state, as the engine says. */
  state = "";
  /** Whether a callback holds the machine. */
  isHeld = false;
  /** The line that is being carried out, if one is. */
  waitsFor: string | undefined;
  #status: Status | undefined;
  #hits = 0;

  get isRunning(): boolean {
    return this.state === "running" && !this.isHeld;
  }

  wants(): readonly string[] {
    return ["status", "bl"];
  }

  receive([status, list]: readonly LineAnswer[], _moment: Moment): void {
    this.#status = findData(status) ?? this.#status;
    const breakpoints = findData<readonly { readonly hits: number }[]>(list) ?? [];
    this.#hits = breakpoints.reduce((sum, { hits }) => sum + hits, 0);
  }

  /** @param width in cells */
  render(width: number): Span[] {
    const { cpu = 0, process, running, instructions } = this.#status ?? {};
    const parts = [
      `rebox: ${this.isHeld ? "held by a callback" : this.state}`,
      `vCPU ${cpu}`,
      running ? `${running.name}:${running.pid}` : "no process",
      ...(process ? [`looking at ${process.name}${process.pid === undefined ? "" : `:${process.pid}`}`] : []),
      ...(instructions === undefined ? [] : [`instruction ${instructions}`]),
      `hits ${this.#hits}`,
      ...(this.waitsFor === undefined ? [] : [`waits for: ${this.waitsFor}`]),
    ];
    const text = parts.join(" | ");
    const help = "F1 help";
    const room = width - help.length - 1;
    return [{ text: `${text.slice(0, room).padEnd(room)} ${help}`, style: "reverse" }];
  }
}
