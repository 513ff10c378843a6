import { ReboxError } from "../config/rebox-error";

/** The place at which a script went wrong, in the script's own file as its author wrote it. */
export interface ScriptPlace {
  /** Absolute path. */
  readonly file: string;
  /** 1-based. */
  readonly line?: number | undefined;
  /** 1-based. */
  readonly column?: number | undefined;
  /** The text of that line. */
  readonly sourceLine?: string | undefined;
}

/** A script that cannot be found, compiled, started or stopped. The message begins with file:line:column where known. */
export class ScriptError extends ReboxError {
  readonly code = "REBOX_SCRIPT";

  /**
   * Makes an error.
   *
   * @param script the script's module name, or the path it was asked for by
   * @param problem says what happened and what to do next
   * @param place where in the script's files, when known
   * @param thrown the value that the script threw, when it threw, and the script's part of its stack
   */
  constructor(
    readonly script: string,
    readonly problem: string,
    readonly place?: ScriptPlace | undefined,
    private readonly thrown?: { readonly cause: unknown; readonly stack: string } | undefined,
  ) {
    super(place === undefined ? `${script}: ${problem}` : `${formatPlace(place)}: ${problem}`, {
      cause: thrown?.cause,
    });
  }

  /** Returns the whole report: the message, the source line with a mark under the column, and the script's own stack. */
  toReport(): string {
    const parts = [this.message];
    if (this.place?.sourceLine !== undefined) {
      const source = this.place.sourceLine.replaceAll("\t", " ");
      parts.push(`    ${source}`);
      if (this.place.column !== undefined) parts.push(`    ${" ".repeat(this.place.column - 1)}^`);
    }
    if (this.cause instanceof Error && this.thrown !== undefined) parts.push(this.thrown.stack);
    return parts.join("\n");
  }
}

function formatPlace(place: ScriptPlace): string {
  return [place.file, place.line, place.column].filter((part) => part !== undefined).join(":");
}

/** A value that is no plain data, so that it cannot cross into the sandbox or out of it, nor be kept in hot.data. */
export class MessageError extends ReboxError {
  readonly code = "REBOX_MESSAGE";
}
