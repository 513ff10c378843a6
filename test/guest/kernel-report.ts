import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** What a guest's kernel says about itself below /proc: what the program `report` sent to QEMU's debug console. */
export class KernelReport {
  readonly #entries = new Map<string, Buffer>();

  constructor(path: string) {
    const all = readFileSync(path);
    for (let at = 0; at < all.length;) {
      const end = all.indexOf(10, at);
      const [, size, name] = /^rebox-(?:file|link): (\d+) (.*)$/.exec(all.toString("latin1", at, end)) ?? [];
      if (name === undefined) throw new Error(`the report has no entry at ${at}`);
      this.#entries.set(name, all.subarray(end + 1, end + 1 + Number(size)));
      at = end + 1 + Number(size);
    }
  }

  /** Finds a file or what a link says. */
  find(path: string): Buffer | undefined {
    return this.#entries.get(path);
  }

  /** Gets a file, or what a link says, as text. */
  get(path: string): string {
    const found = this.#entries.get(path);
    if (!found) throw new Error(`the guest did not report ${path}`);
    return found.toString("utf8");
  }

  lines(path: string): string[] {
    return this.get(path)
      .split("\n")
      .filter((line) => line !== "");
  }

  /** Lists the lines of /proc/kallsyms. */
  kallsyms(): string[] {
    const packed = this.#entries.get("/tmp/kallsyms.gz");
    if (!packed) throw new Error("the guest did not report its symbols");
    return gunzipSync(packed)
      .toString("latin1")
      .split("\n")
      .filter((line) => line !== "");
  }

  /** Lists the numbers of the processes. */
  pids(): number[] {
    return [...this.#entries.keys()].flatMap((path) => /^\/proc\/(\d+)\/stat$/.exec(path)?.slice(1).map(Number) ?? []);
  }

  /** Lists the paths that begin with this one. */
  below(path: string): string[] {
    return [...this.#entries.keys()].filter((name) => name.startsWith(path));
  }
}
