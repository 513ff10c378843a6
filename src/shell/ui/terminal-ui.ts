import type { ReadStream, WriteStream } from "node:tty";
import { toPlainText } from "../../config/terminal-text";
import type { LineAnswer } from "../line/line-runner";
import { showAnswer } from "../line/line-shell";
import type { RunEvent } from "../line/run-feed";
import type { SessionTarget } from "../line/session-target";
import { findData } from "./pane";
import { CommandLine } from "./command-line";
import { GuestView } from "./guest-view";
import { type Key, KeyReader } from "./key-reader";
import { type Action, describeKeys, findAction, findPaneAction } from "./keys";
import { LineQueue } from "./line-queue";
import { PANE_NAMES, type PaneName } from "./layout";
import { PaneDesk } from "./pane-desk";
import { CodePane } from "./panes/code-pane";
import { ConsolePane } from "./panes/console-pane";
import { MemoryPane } from "./panes/memory-pane";
import { RegistersPane } from "./panes/registers-pane";
import { StackPane } from "./panes/stack-pane";
import { TextPane } from "./panes/text-pane";
import { StatusLine } from "./status-line";
import { renderLine } from "./styled-line";
import { TimeLine } from "./time-line";
import { UiScreen } from "./ui-screen";

/** The shortest time between two drawings of text that comes in many pieces, in milliseconds. */
const DRAW_MS = 40;
/** The rows that a page goes further, but one. */
const OVERLAP_ROWS = 1;
/** The actions that are a line of the shell. */
const LINES: Partial<Readonly<Record<Action, string>>> = {
  continue: "cont",
  step: "step",
  next: "next",
  finish: "finish",
};

/** The terminal that the user sits at. */
export interface Terminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
}

/** A shell with panes that show the guest, on a whole terminal. */
export class TerminalUi {
  /** Settles when the user leaves, with "left" when the guest continues, or when it is closed. */
  readonly ended: Promise<"left" | "over">;
  readonly #screen: UiScreen;
  readonly #keys: KeyReader;
  readonly #desk: PaneDesk;
  readonly #view: GuestView;
  readonly #line: CommandLine;
  readonly #status = new StatusLine();
  readonly #time = new TimeLine();
  readonly #code = new CodePane();
  readonly #memory = new MemoryPane();
  readonly #console = new ConsolePane();
  readonly #output = new TextPane("output");
  readonly #shell = new TextPane("shell");
  readonly #queue: LineQueue;
  #stops = 0;
  #isHelpShown = false;
  #isNextKeyTyped = false;
  #drawing: NodeJS.Timeout | undefined;
  #end!: (how: "left" | "over") => void;
  #isClosed = false;

  /**
   * Takes the terminal until close().
   *
   * @param target carries out the lines
   * @param showsOutput whether the output of scripts comes as events of the target; otherwise by addOutput()
   */
  constructor(
    private readonly target: SessionTarget,
    terminal: Terminal,
    private readonly showsOutput: boolean,
  ) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.#screen = new UiScreen(terminal.output, () => this.#arrange());
    this.#keys = new KeyReader(terminal.input, (key) => this.#handle(key));
    const panes = { registers: new RegistersPane(), code: this.#code, stack: new StackPane(), memory: this.#memory };
    const texts = { console: this.#console, output: this.#output, shell: this.#shell };
    this.#desk = new PaneDesk({ ...panes, ...texts }, this.#screen);
    this.#desk.choose("line");
    this.#queue = new LineQueue(
      target,
      (line) => {
        this.#status.waitsFor = line;
        this.#say(`${toPlainText(target.prompt)}${line}\n`);
      },
      (answer) => this.#handleAnswer(answer),
    );
    this.#line = new CommandLine(
      target,
      (line) => this.#queue.add(line),
      (words) => this.#say(`${words.join("  ")}\n`),
    );
    const getMoment = () => ({ isRunning: this.#status.isRunning, stops: this.#stops });
    const heads = [this.#status, this.#time].map((pane) => ({ pane, size: { width: 0, height: 0 } }));
    const getShown = () => [...heads, ...this.#desk.list()];
    this.#view = new GuestView(target, getMoment, getShown, () => this.#takeAnswers());
    target.onNotice = ({ text }) => this.#say(`${text}\n`);
    target.onEvent = (event) => this.#receive(event);
    this.#arrange();
    target.watch();
  }

  /** Adds output of scripts or of rebox itself. */
  addOutput(text: string): void {
    this.#output.add(text);
    this.#drawSoon();
  }

  /** Takes the terminal again, after the process was stopped by Ctrl-Z's signal. */
  resume(): void {
    this.#keys.resume();
    this.#screen.forget();
    this.#arrange();
  }

  /** Gives the terminal back as it was. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#drawing);
    this.#view.close();
    this.#screen.close();
    this.#keys.close();
    this.#end("over");
  }

  #takeAnswers(): void {
    // The panes have another size then.
    if (this.#desk.makeRoomForTime(this.#time.isShown)) this.#view.refresh();
    this.#draw();
  }

  #receive(event: RunEvent): void {
    if (event.event === "state") {
      this.#status.state = event.state;
      this.#status.isHeld = event.isHeld;
      this.#stops = event.stops;
      this.#console.isConnected = event.hasConsole;
      this.#view.refresh();
    } else if (event.event === "console") this.#console.add(event.text);
    else if (this.showsOutput) this.#output.add(event.text);
    this.#drawSoon();
  }

  #handle(key: Key): void {
    const { focus } = this.#desk;
    if (this.#isHelpShown) this.#isHelpShown = false;
    else if (this.#isNextKeyTyped) {
      this.#isNextKeyTyped = false;
      this.target.sendToConsole(key.sequence);
    } else if (key.name === "C-c") this.#interrupt();
    else if (focus === "console") this.#handleInConsole(key);
    else if (this.#choosePane(key.name)) this.#view.refresh();
    else {
      const action = findAction(key.name) ?? (focus === "line" ? undefined : findPaneAction(key.name));
      if (action) this.#act(action);
      else if (focus === "line") this.#handleInLine(key);
      else this.#scroll(key.name, focus);
    }
    if (!this.#isClosed) this.#draw();
  }

  /** Keys are the guest's there, but for those that no guest misses. */
  #handleInConsole(key: Key): void {
    const action = key.name.startsWith("M-") || key.name === "C-l" ? undefined : findAction(key.name);
    if (action) this.#act(action);
    else if (key.name === "C-v") this.#isNextKeyTyped = true;
    else if (/^S-?(pageup|pagedown)$|^page(up|down)$/.test(key.name)) this.#scroll(key.name, "console");
    else {
      this.#console.scroll("end", this.#desk.findSize("console") ?? { width: 1, height: 1 });
      this.target.sendToConsole(key.sequence);
    }
  }

  #handleInLine(key: Key): void {
    if (key.name === "tab" && this.#line.isEmpty) this.#act("nextPane");
    else if (key.name === "C-d" && this.#line.isEmpty) this.#act("quit");
    else if (/^page(up|down)$/.test(key.name)) this.#scroll(key.name, "shell");
    else void this.#line.handle(key)?.then(() => this.#draw());
  }

  #act(action: Action): void {
    const line = LINES[action];
    if (line !== undefined) this.#queue.add(line);
    else if (action === "help") this.#isHelpShown = true;
    else if (action === "pause") this.#interrupt();
    else if (action === "quit") this.#queue.add("quit");
    else if (action === "breakpoint") this.#toggleBreakpoint();
    else if (action === "goTo") this.#askAddress();
    else if (action === "redraw") this.#screen.forget();
    else {
      if (action === "zoom") this.#desk.toggleZoom();
      else if (action === "commandLine") this.#desk.choose("line");
      else this.#desk.chooseNext(action === "nextPane" ? 1 : -1);
      this.#view.refresh();
    }
  }

  #choosePane(key: string): boolean {
    const number = /^M-([0-7])$/.exec(key)?.[1];
    if (number === undefined) return false;
    this.#desk.choose(number === "0" ? "line" : (PANE_NAMES[Number(number) - 1] as PaneName));
    return true;
  }

  #scroll(key: string, name: PaneName): void {
    const size = this.#desk.findSize(name);
    const pane = this.#desk.list().find((shown) => shown.pane.name === name)?.pane;
    if (!size || !pane) return;
    const page = Math.max(1, size.height - OVERLAP_ROWS);
    const ways: Readonly<Record<string, number | "home" | "end">> = {
      ...{ up: -1, k: -1, down: 1, j: 1, pageup: -page, pagedown: page, home: "home", end: "end" },
    };
    const way = ways[key.replace(/^S-/, "")];
    if (way === undefined) return;
    pane.scroll(way, size);
    this.#view.refresh();
  }

  #handleAnswer(answer: LineAnswer): void {
    this.#status.waitsFor = undefined;
    this.#show(answer);
    if (this.target.isOver) this.#end(findData<{ ends?: string }>(answer)?.ends === "shell" ? "left" : "over");
  }

  #interrupt(): void {
    const isIdle = this.#queue.current === undefined && !this.#status.isRunning;
    if (isIdle) this.#line.cancel();
    else void this.target.interrupt().then((answer) => this.#show(answer));
  }

  #toggleBreakpoint(): void {
    const { selected, selectedBreakpoint } = this.#code;
    if (selectedBreakpoint !== undefined) this.#queue.add(`bc ${selectedBreakpoint}`);
    else if (selected !== undefined) this.#queue.add(`bp ${selected}`);
  }

  #askAddress(): void {
    const isCode = this.#desk.focus === "code";
    const { focus } = this.#desk;
    const label = isCode ? "code at (nothing: where the vCPU is): " : "memory at: ";
    this.#desk.choose("line");
    if (!isCode) this.#desk.choose("memory");
    this.#desk.focus = "line";
    this.#line.ask({
      label,
      answer: (text) => {
        if (isCode) this.#code.goTo(text);
        else if (text !== "") this.#memory.goTo(text);
        this.#desk.choose(focus === "line" ? "line" : isCode ? "code" : "memory");
        this.#view.refresh();
      },
    });
  }

  #show(answer: LineAnswer): void {
    this.#say(showAnswer(answer, false));
    this.#view.refresh();
  }

  #say(text: string): void {
    this.#shell.add(text);
    this.#shell.scroll("end", { width: 1, height: 1 });
    this.#drawSoon();
  }

  #arrange(): void {
    this.#desk.arrange();
    this.#view.refresh();
    this.#draw();
  }

  #drawSoon(): void {
    this.#drawing ??= setTimeout(() => this.#draw(), DRAW_MS);
  }

  #draw(): void {
    clearTimeout(this.#drawing);
    this.#drawing = undefined;
    if (this.#isClosed) return;
    const { width, height } = this.#screen;
    this.#screen.show("status", { left: 0, top: 0, width, height: 1 }, [renderLine(this.#status.render(width), width)]);
    if (this.#time.isShown)
      this.#screen.show("time", { left: 0, top: 1, width, height: 1 }, [renderLine(this.#time.render(width), width)]);
    else this.#screen.hide("time");
    this.#desk.draw();
    const line = this.#line.render(width);
    this.#screen.show("line", { left: 0, top: height - 1, width, height: 1 }, [line.text]);
    this.#drawHelp(width, height);
    this.#screen.draw(this.#findCursor(line.column));
  }

  #findCursor(column: number): { readonly row: number; readonly column: number } | undefined {
    const { focus } = this.#desk;
    if (this.#isHelpShown) return undefined;
    if (focus === "line") return { row: this.#screen.height - 1, column };
    const place = focus === "console" ? this.#desk.findPlace(focus) : undefined;
    const size = focus === "console" ? this.#desk.findSize(focus) : undefined;
    const cursor = size && this.#console.findCursor(size);
    return place && cursor && { row: place.row + cursor.row, column: place.column + cursor.column };
  }

  #drawHelp(width: number, height: number): void {
    if (!this.#isHelpShown) return this.#screen.hide("help");
    const rows = ["", ...describeKeys(), "", "any key goes back"].slice(0, height - 1);
    this.#screen.show(
      "help",
      { left: 0, top: 1, width, height: height - 1 },
      rows.map((row) => renderLine([row], width)),
    );
    this.#screen.raise("help");
  }
}
