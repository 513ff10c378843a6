import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { PassThrough } from "node:stream";
import type { WriteStream } from "node:tty";
import type { Area } from "./layout";

/** The used part of a box of blessed. */
interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
  setContent(text: string): void;
  show(): void;
  hide(): void;
  setFront(): void;
}

/** The used part of blessed's screen. */
interface BlessedScreen {
  readonly program: {
    readonly rows: number;
    readonly cols: number;
    cup(row: number, column: number): void;
    showCursor(): void;
    hideCursor(): void;
    flush(): void;
    put: Record<string, (() => void) | undefined>;
  };
  readonly width: number;
  readonly height: number;
  enter(): void;
  leave(): void;
  alloc(): void;
  realloc(): void;
  render(): void;
  on(event: "resize", listener: () => void): void;
  destroy(): void;
}

interface Blessed {
  program(options: object): object;
  screen(options: object): BlessedScreen;
  box(options: object): Box;
}

/** The events of the process that blessed hooks into, and this program handles itself. */
const FOREIGN_HOOKS = ["uncaughtException", "SIGTERM", "SIGINT", "SIGQUIT", "exit"] as const;
/** Resets colours and the like, and shows the cursor again. ECMA-48, 8.3.117; DEC's DECTCEM. */
const RESET = "\x1b[m\x1b[?25h";

/** The screen of the terminal: areas of text that blessed draws, and only where they have changed. */
export class UiScreen {
  readonly #blessed: Blessed;
  readonly #screen: BlessedScreen;
  readonly #boxes = new Map<string, Box>();
  #isOpen = true;

  /** @param onResize is called when the terminal has another size */
  constructor(
    private readonly output: WriteStream,
    onResize: () => void,
  ) {
    // Loaded only where there is a terminal to draw on.
    this.#blessed = createRequire(__filename)("reblessed") as Blessed;
    const before = FOREIGN_HOOKS.map((event) => process.listeners(event as "exit"));
    // Keys are read by KeyReader: blessed takes a sequence that comes in two pieces for two keys.
    const program = this.#blessed.program({ input: new PassThrough(), output, buffer: true, tput: true });
    this.#screen = this.#blessed.screen({ program, smartCSR: true, autoPadding: false });
    FOREIGN_HOOKS.forEach((event, index) => {
      for (const listener of process.listeners(event as "exit")) {
        if (!before[index]?.includes(listener)) process.off(event, listener);
      }
    });
    this.#screen.on("resize", onResize);
  }

  /** In cells. */
  get width(): number {
    return this.#screen.width;
  }

  /** In cells. */
  get height(): number {
    return this.#screen.height;
  }

  /**
   * Puts rows of text somewhere.
   *
   * @param name of the area, which is made when it is new
   * @param rows as renderLine() makes them: no other source may contain codes of the terminal
   */
  show(name: string, area: Area, rows: readonly string[]): void {
    let box = this.#boxes.get(name);
    if (!box) {
      box = this.#blessed.box({ parent: this.#screen, tags: false, wrap: false, ...area });
      this.#boxes.set(name, box);
    }
    Object.assign(box, area);
    box.setContent(rows.join("\n"));
    box.show();
  }

  /** Takes an area away. */
  hide(name: string): void {
    this.#boxes.get(name)?.hide();
  }

  /** Puts an area over the others. */
  raise(name: string): void {
    this.#boxes.get(name)?.setFront();
  }

  /** Draws the changes. @param cursor the place of the cursor; undefined hides it */
  draw(cursor: { readonly row: number; readonly column: number } | undefined): void {
    if (!this.#isOpen) return;
    this.#screen.render();
    const { program } = this.#screen;
    if (cursor) {
      program.cup(cursor.row, cursor.column);
      program.showCursor();
    } else {
      program.hideCursor();
    }
    program.flush();
  }

  /** Forgets the content of the terminal, so that everything is drawn. */
  forget(): void {
    this.#screen.leave();
    this.#screen.enter();
    this.#screen.realloc();
  }

  /** Leaves the terminal as it was before. It works at once, also while the process exits. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      this.#screen.leave();
      this.#screen.destroy();
      writeSync((this.output as WriteStream & { readonly fd: number }).fd, RESET);
    } catch {
      // The terminal is gone: there is nothing to restore.
    }
  }
}
