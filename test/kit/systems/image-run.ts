import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestKit } from "../guests/guest-kits";
import { type GuestRun, runGuest, runRebox, scriptPrelude } from "../guests/guest-run";
import { REBOX } from "../project";

/** A machine whose memory is dumped while it stands still. */
export interface ImagedMachine {
  readonly kit: GuestKit;
  readonly kernelArgs?: string;
  readonly qemuArgs?: readonly string[];
  /** The files that rebox makes, with the options of dumpMemory(). */
  readonly files: Readonly<Record<string, object>>;
  /** What QEMU makes besides: lines of its monitor in which @ is the folder. */
  readonly monitorLines: readonly string[];
}

/** What was made, and what the guest said of itself before. */
export interface ImagedGuest {
  readonly run: GuestRun;
  readonly folder: string;
  /** The registers of all vCPUs while the memory was dumped, by their names, in hexadecimal. */
  readonly registers: readonly Readonly<Record<string, string>>[];
  /** What the engine's state was behind each dump. */
  readonly states: readonly string[];
}

const DUMP = (serial: string, folder: string, { files, monitorLines }: ImagedMachine): string => `
  import { Engine, getNumCpus, readCpu } from "rebox";
  import { dumpMemory } from "rebox/trusted";
  import { writeFileSync } from "node:fs";
  ${scriptPrelude(serial)}
  const folder = ${JSON.stringify(folder)};
  const names = Engine.get().native.registers().map(({ name }) => name);
  async function dump(): Promise<void> {
    const engine = Engine.get();
    await engine.pause();
    const states: string[] = [];
    for (const [name, options] of Object.entries(${JSON.stringify(files)})) {
      await dumpMemory(folder + "/" + name, options as object);
      states.push(engine.state);
    }
    for (const line of ${JSON.stringify(monitorLines)}) await engine.hmp(line.replace("@", folder));
    const registers = Array.from({ length: getNumCpus() }, (_, index) =>
      Object.fromEntries(names.map((name) => [name, "0x" + (readCpu(index) as any)[name].toString(16)])));
    writeFileSync(folder + "/facts.json", JSON.stringify({ registers, states }));
  }
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    void untilTruth("zoo.reported").then(dump).catch((error) => print(String(error.stack))).finally(() => Engine.get().quit());
  }
  export const clean = (): void => {};
`;

/** Boots a guest with a process of each kind, dumps its memory, and removes all when that was looked at. */
export async function withImages(machine: ImagedMachine, use: (guest: ImagedGuest) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-images-"));
  const { kit, kernelArgs, qemuArgs } = machine;
  try {
    const run = await runGuest({
      ...{ task: "zoo", parameters: { kallsyms: 0 }, kit, reports: true, timeoutMs: 300_000 },
      script: (serial) => DUMP(serial, folder, machine),
      trust: true,
      ...(kernelArgs === undefined ? {} : { kernelArgs }),
      ...(qemuArgs === undefined ? {} : { qemuArgs }),
    });
    if (run.messages.length > 0) throw new Error(run.messages.join("\n"));
    const facts = JSON.parse(readFileSync(join(folder, "facts.json"), "utf8")) as Omit<ImagedGuest, "run" | "folder">;
    await use({ run, folder, ...facts });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs lines in a shell on an image, and returns what each answers as data; fails when a line does. */
export async function lookInto(
  image: string,
  lines: readonly string[],
  args: readonly string[] = [],
): Promise<unknown[]> {
  const run = await runRebox(["shell", "--image", image, "--json", ...args, "--", ...lines], 180_000);
  const answers = Buffer.from(run.stdout, "latin1")
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { data?: unknown; error?: string });
  const failed = answers.findIndex(({ error }) => error !== undefined);
  if (failed >= 0) throw new Error(`${image}: ${lines[failed]}: ${answers[failed]?.error}`);
  if (run.status !== 0 || answers.length !== lines.length) throw new Error(`${image}: ${run.status}: ${run.stderr}`);
  return answers.map(({ data }) => data);
}

/** Runs lines in a shell on an image, whatever becomes of each. */
export function answerLines(image: string, lines: readonly string[]): { data?: unknown; error?: string }[] {
  const { stdout } = spawnSync(process.execPath, [REBOX, "shell", "--image", image, "--json"], {
    ...{ encoding: "utf8", input: lines.join("\n"), timeout: 120_000 },
  });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { data?: unknown; error?: string });
}

/** A range of physical memory in a file. */
export interface FilePart {
  readonly address: number;
  readonly offset: number;
  readonly size: number;
}

/** Reads where memory lies in an ELF core, by what binutils say. */
export function readElfParts(file: string): FilePart[] {
  const text = execFileSync("readelf", ["-lW", file], { encoding: "utf8" });
  return [...text.matchAll(/^ {2}LOAD +(0x\w+) 0x\w+ (0x\w+) (0x\w+) (0x\w+)/gm)].map(([, offset, address, size]) => ({
    ...{ address: Number(address), offset: Number(offset), size: Number(size) },
  }));
}

/** Reads where memory lies in a LiME image: https://github.com/504ensicsLabs/LiME, doc/README.md, "Spec". */
export function readLimeParts(file: string): FilePart[] {
  const parts: FilePart[] = [];
  const { size } = statSync(file);
  for (let at = 0; at < size;) {
    const header = readBytes(file, at, 32);
    if (header.readUInt32LE(0) !== 0x4c694d45 || header.readUInt32LE(4) !== 1) throw new Error(`no header at ${at}`);
    const first = Number(header.readBigUInt64LE(8));
    const last = Number(header.readBigUInt64LE(16));
    parts.push({ address: first, offset: at + 32, size: last - first + 1 });
    at += 32 + last - first + 1;
  }
  return parts;
}

/** Reads bytes of a file. */
export function readBytes(file: string, offset: number, size: number): Buffer {
  const fd = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, readSync(fd, bytes, 0, size, offset));
  } finally {
    closeSync(fd);
  }
}

const CHUNK = 0x400000;

/**
 * Finds the first physical address at which two images differ, of those that both have; and how many bytes that are.
 *
 * @param windows what is compared; everything without it
 */
export function compareParts(
  one: { readonly file: string; readonly parts: readonly FilePart[] },
  other: { readonly file: string; readonly parts: readonly FilePart[] },
  windows: readonly Pick<FilePart, "address" | "size">[] = [{ address: 0, size: 2 ** 52 }],
): { readonly compared: number; readonly difference: number | undefined } {
  const pairs = one.parts.flatMap((a) => other.parts.flatMap((b) => windows.map((window) => ({ a, b, window }))));
  let compared = 0;
  for (const { a, b, window } of pairs) {
    const start = Math.max(a.address, b.address, window.address);
    const end = Math.min(...[a, b, window].map(({ address, size }) => address + size));
    for (let at = start; at < end; at += CHUNK) {
      const size = Math.min(CHUNK, end - at);
      const left = readBytes(one.file, a.offset + at - a.address, size);
      const right = readBytes(other.file, b.offset + at - b.address, size);
      const difference = left.equals(right) ? -1 : left.findIndex((byte, index) => byte !== right[index]);
      if (difference >= 0) return { compared, difference: at + difference };
      compared += size;
    }
  }
  return { compared, difference: undefined };
}

/** What a folder holds that nobody asked for: files of a dump that was not finished. */
export function listPartial(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.includes(".partial-"));
}
