import { SourceMap } from "node:module";
import { fileURLToPath } from "node:url";

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

  /** Translates the positions of whatever loaded script's bundle. */
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
