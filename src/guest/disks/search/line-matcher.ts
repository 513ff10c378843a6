import { StringDecoder } from "node:string_decoder";
import type { FileCheck } from "./file-check";

/** A longer line is looked at in pieces of this length, in characters; binary files may have no end of line at all. */
const LONGEST_LINE = 1024 * 1024;
/** The pieces of a long line overlap by so much, so that what lies across their border is found. */
const OVERLAP = 64 * 1024;

/** Applies patterns to the lines of a file, which comes in pieces. */
export class LineMatcher {
  readonly #decoder = new StringDecoder("utf8");
  readonly #checks: readonly { readonly check: FileCheck; any: boolean; all: boolean }[];
  readonly #isMacroal: boolean;
  #rest = "";
  #lines = 0;

  /**
   * @param checks of contents
   * @param isMacroal every line has to match; of an inverse check, none may
   */
  constructor(checks: readonly FileCheck[], isMacroal: boolean) {
    this.#checks = checks.map((check) => ({ check, any: false, all: true }));
    this.#isMacroal = isMacroal;
  }

  /** Reports whether the answer is final, whatever the rest of the file holds. */
  get isDecided(): boolean {
    return this.#checks.every(({ check, any, all }) => any && (!this.#isMacroal || check.isInverse || !all));
  }

  push(piece: Uint8Array): void {
    this.#take(this.#decoder.write(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)));
  }

  /** Ends the file. */
  end(): void {
    this.#take(this.#decoder.end());
    if (this.#rest !== "") this.#matchLine(this.#rest);
    this.#rest = "";
  }

  /** Reports for each check whether the file matches, before the answer is inverted. */
  get matches(): ReadonlyMap<FileCheck, boolean> {
    return new Map(
      this.#checks.map(({ check, any, all }) => {
        const isEveryLineWanted = this.#isMacroal && !check.isInverse;
        return [check, isEveryLineWanted ? this.#lines > 0 && all : any];
      }),
    );
  }

  #take(text: string): void {
    let from = 0;
    const whole = this.#rest + text;
    for (let end = whole.indexOf("\n"); end >= 0; end = whole.indexOf("\n", from)) {
      this.#matchLine(whole.slice(from, whole[end - 1] === "\r" ? Math.max(from, end - 1) : end));
      from = end + 1;
    }
    this.#rest = whole.slice(from);
    while (this.#rest.length > LONGEST_LINE) {
      this.#matchLine(this.#rest.slice(0, LONGEST_LINE));
      this.#rest = this.#rest.slice(LONGEST_LINE - OVERLAP);
    }
  }

  #matchLine(line: string): void {
    this.#lines++;
    for (const state of this.#checks) {
      if (state.any && !this.#isMacroal) continue;
      if (state.check.pattern?.test(line)) state.any = true;
      else state.all = false;
    }
  }
}
