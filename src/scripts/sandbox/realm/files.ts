import { Buffer } from "buffer/";
import { ask } from "./messages";

type Encoding = string | { readonly encoding?: string | null; readonly flag?: string } | null | undefined;

function encodingOf(options: Encoding): string | undefined {
  return (typeof options === "string" ? options : options?.encoding) ?? undefined;
}

function toBytes(data: unknown, options: Encoding): Uint8Array {
  if (typeof data === "string") return Buffer.from(data, encodingOf(options) as "utf8");
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  throw new TypeError("a file is written from a string or bytes");
}

function toResult(bytes: unknown, options: Encoding): Buffer | string {
  const buffer = bytes as Buffer;
  const encoding = encodingOf(options);
  return encoding === undefined ? buffer : buffer.toString(encoding as "utf8");
}

interface StatResult {
  readonly size: number;
  readonly kind: "file" | "directory" | "other";
  readonly mtimeMs: number;
}

function toStats({ size, kind, mtimeMs }: StatResult) {
  return { size, mtimeMs, isFile: () => kind === "file", isDirectory: () => kind === "directory" };
}

/** The part of node:fs that a script with the permission fs: has, within its folders. */
export const files = {
  readFileSync: (path: string, options?: Encoding) => toResult(ask("fs.read", String(path)), options),
  writeFileSync: (path: string, data: unknown, options?: Encoding) => {
    ask("fs.write", String(path), toBytes(data, options), (typeof options === "object" && options?.flag) || "w");
  },
  appendFileSync: (path: string, data: unknown, options?: Encoding) => {
    ask("fs.write", String(path), toBytes(data, options), "a");
  },
  existsSync: (path: string) => ask("fs.exists", String(path)) as boolean,
  mkdirSync: (path: string, options?: { readonly recursive?: boolean }) =>
    void ask("fs.mkdir", String(path), options?.recursive === true),
  readdirSync: (path: string) => ask("fs.readdir", String(path)) as string[],
  statSync: (path: string) => toStats(ask("fs.stat", String(path)) as StatResult),
  rmSync: (path: string, options?: { readonly recursive?: boolean; readonly force?: boolean }) =>
    void ask("fs.rm", String(path), options?.recursive === true, options?.force === true),
  unlinkSync: (path: string) => void ask("fs.rm", String(path), false, false),
  renameSync: (from: string, to: string) => void ask("fs.rename", String(from), String(to)),
};

/** The same as promises. */
export const filePromises = Object.fromEntries(
  Object.entries(files).map(([name, call]) => [
    name.replace(/Sync$/, ""),
    async (...args: unknown[]) => (call as (...args: unknown[]) => unknown)(...args),
  ]),
);
