import { gunzipSync } from "node:zlib";

/** What a guest's kernel says about itself: files and links by their path, as native/guest/programs/portable/report.c writes them. */
export class GuestReport {
  constructor(private readonly entries: ReadonlyMap<string, Buffer>) {}

  /** Gets a file's content; that of a packed one is unpacked. */
  text(path: string): string {
    return this.find(path) ?? fail(path, [...this.entries.keys()]);
  }

  find(path: string): string | undefined {
    return this.findBytes(path)?.toString("utf8");
  }

  findBytes(path: string): Buffer | undefined {
    const packed = this.entries.get(`${path}.gz`);
    return this.entries.get(path) ?? (packed && gunzipSync(packed));
  }

  lines(path: string): string[] {
    return this.text(path).split("\n").slice(0, -1);
  }

  /** Lists the names directly below a path. */
  list(path: string): string[] {
    const names = [...this.entries.keys()]
      .filter((entry) => entry.startsWith(`${path}/`))
      .map((entry) => entry.slice(path.length + 1).split("/")[0]!);
    return [...new Set(names)];
  }
}

function fail(path: string, paths: readonly string[]): never {
  throw new Error(`the guest has not reported ${path}; it reported ${paths.slice(0, 20).join(", ")} ...`);
}

/** Parses what came out of the debug console: "rebox-file: SIZE PATH", a line end, and so many bytes. */
export function parseReport(bytes: Buffer): GuestReport {
  const entries = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(10, at);
    const [, size, path] = /^rebox-(?:file|link): (\d+) (.*)$/.exec(bytes.toString("utf8", at, end)) ?? [];
    if (path === undefined) throw new Error(`the report is broken at byte ${at} of ${bytes.length}`);
    entries.set(path, bytes.subarray(end + 1, end + 1 + Number(size)));
    at = end + 1 + Number(size);
  }
  return new GuestReport(entries);
}
