import { SourceMap } from "node:module";
import { fileURLToPath } from "node:url";
import { decodeMessage, THROWN_PREFIX } from "./message-codec";

/**
 * Makes an error of the description of what a script in the sandbox threw.
 *
 * @param description text of message-codec.ts: name, message, stack
 * @param translate gives a stack the positions in the script's own files
 */
export function readDescription(description: string, translate: (stack: string) => string): Error {
  // A script can have exchanged what makes the text.
  const parts = decodeMessage(description, (bytes) => bytes) as unknown[];
  const [name = "", message = "", stack = ""] = parts.map((part) => (typeof part === "string" ? part : ""));
  const error = new Error(message);
  // A value that is no Error was described by its text.
  error.name = name === "" ? "thrown" : name;
  error.stack = translate(stack === "" ? `${error.name}: ${message}` : stack);
  return error;
}

/**
 * Reads what a callback in the sandbox has thrown through the engine.
 *
 * @param thrown the value that reached rebox
 * @returns undefined when it does not come from a sandbox
 */
export function readThrown(thrown: unknown): Error | undefined {
  if (typeof thrown !== "string" || !thrown.startsWith(THROWN_PREFIX)) return undefined;
  return readDescription(thrown.slice(THROWN_PREFIX.length), (stack) => BundlePositions.translateAny(stack));
}

/** Translates the positions in a sandboxed script's stacks to its own files, as Node does for trusted scripts. */
export class BundlePositions {
  private static readonly all = new Set<BundlePositions>();
  private map: SourceMap | undefined;

  private constructor(
    private readonly bundleName: string,
    private readonly sourceMap: string,
  ) {}

  /**
   * Remembers a bundle's source map until forget().
   *
   * @param bundleName the file name under which the bundle was compiled
   * @param sourceMap version 3, with absolute URLs
   */
  static add(bundleName: string, sourceMap: string): BundlePositions {
    const positions = new BundlePositions(bundleName, sourceMap);
    BundlePositions.all.add(positions);
    return positions;
  }

  /** Translates the positions in the bundle of any loaded script. */
  static translateAny(stack: string): string {
    return [...BundlePositions.all].reduce((text, positions) => positions.translate(text), stack);
  }

  /** The script is gone. */
  forget(): void {
    BundlePositions.all.delete(this);
  }

  /** Returns the stack with every position in the bundle replaced. */
  translate(stack: string): string {
    return stack
      .split("\n")
      .map((line) => this.translateLine(line))
      .join("\n");
  }

  private translateLine(line: string): string {
    const at = line.indexOf(this.bundleName);
    if (at === -1) return line;
    const position = /^:(\d+):(\d+)/.exec(line.slice(at + this.bundleName.length));
    if (position === null) return line;
    const place = this.find(Number(position[1]), Number(position[2]));
    if (place === undefined) return line;
    return line.slice(0, at) + place + line.slice(at + this.bundleName.length + position[0].length);
  }

  private find(line: number, column: number): string | undefined {
    this.map ??= new SourceMap(JSON.parse(this.sourceMap) as ConstructorParameters<typeof SourceMap>[0]);
    const entry = this.map.findEntry(line - 1, column - 1);
    if (!("originalSource" in entry)) return undefined;
    return `${fileURLToPath(entry.originalSource)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  }
}
