import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { AnalysisError } from "../../errors";
import { getArchiveProgram } from "../export/archive-program";
import { CUSTOMARY_PASSWORD } from "../export/zip-analysis";
import type { ArchiveRequest } from "./start-request";

/** An archive is hostile: it may be small and unpack without end. In bytes. */
const LARGEST_MEMBER = 512 << 20;
const LONGEST_LIST = 8 << 20;
const MOST_SHOWN = 10;
/** In milliseconds. */
const LIMIT_MS = 120_000;

/** The beginnings of archives: zip (also an empty one), 7z, and what a tar archive is packed with. */
const MAGICS: readonly (readonly [Kind, number, string])[] = [
  ["7-Zip", 0, "504b0304"],
  ["7-Zip", 0, "377abcaf271c"],
  ["tar", 257, "7573746172"],
  ["tar", 0, "1f8b"],
  ["tar", 0, "fd377a585a00"],
  ["tar", 0, "425a68"],
  ["tar", 0, "28b52ffd"],
];
type Kind = "7-Zip" | "tar";
const ARCHIVE_NAME = /\.(zip|7z|tar|tgz|txz|tbz2?|tar\.(gz|xz|bz2|zst))$/i;

interface Member {
  readonly name: string;
  readonly isFile: boolean;
}

/** Returns whether a target is an archive that is to be unpacked: a member was asked for, or its name says so. */
export function isArchive(path: string, request: ArchiveRequest): boolean {
  return request.member !== undefined || request.password !== undefined || ARCHIVE_NAME.test(path);
}

/**
 * Takes one file out of an archive (zip with or without a password, 7z, tar with any packing). The unpackers only write to their standard
 * output: no path and no link of the archive is ever made here.
 *
 * @param archive absolute path
 * @param folder where the file is made
 * @returns its path
 * @throws AnalysisError when there is no such member, several are, it is no file or too large, or the password is wrong
 */
export async function extractMember(
  archive: string,
  request: ArchiveRequest,
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  const kind = findKind(archive);
  if (kind === undefined) throw new AnalysisError(`${archive} is no zip, 7z or tar archive`);
  const password = `-p${request.password ?? CUSTOMARY_PASSWORD}`;
  const program = kind === "tar" ? "tar" : getArchiveProgram();
  const listing =
    kind === "tar"
      ? ["--list", "--verbose", "--quoting-style=escape", "--numeric-owner", `--file=${archive}`]
      : ["l", "-slt", "-ba", "-sccUTF-8", password, "--", archive];
  const chunks: Buffer[] = [];
  await run(program, listing, signal, LONGEST_LIST, `the list of ${archive}`, (chunk) => void chunks.push(chunk));
  const text = Buffer.concat(chunks).toString("utf8");
  const member = choose(archive, kind === "tar" ? readTarList(text) : readZipList(text), request.member);
  const extraction =
    kind === "tar"
      ? ["--extract", "--to-stdout", "--no-wildcards", "--absolute-names", `--file=${archive}`, "--", unescape(member)]
      : ["x", "-so", "-spd", "-sccUTF-8", "-bsp0", password, "--", archive, member];
  mkdirSync(folder, { recursive: true });
  const path = join(
    folder,
    basename(member)
      .replace(/[^\w.-]/g, "_")
      .slice(-64) || "target",
  );
  const file = openSync(path, "w", 0o600);
  try {
    const write = (chunk: Buffer): void => {
      for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at);
    };
    await run(program, extraction, signal, LARGEST_MEMBER, `${member} of ${archive}`, write);
  } finally {
    closeSync(file);
  }
  return path;
}

function findKind(archive: string): Kind | undefined {
  const head = Buffer.alloc(512);
  const file = openSync(archive, "r");
  try {
    readSync(file, head);
  } finally {
    closeSync(file);
  }
  return MAGICS.find(([, at, magic]) => head.toString("hex", at, at + magic.length / 2) === magic)?.[0];
}

/** Chooses the member that was asked for, or the only one. */
function choose(archive: string, members: readonly Member[], wanted: string | undefined): string {
  const files = members.filter(({ isFile }) => isFile);
  const shown = files.slice(0, MOST_SHOWN).map(({ name }) => JSON.stringify(name)).join(", "); // prettier-ignore
  const some = files.length > MOST_SHOWN ? `${shown} and ${files.length - MOST_SHOWN} more` : shown;
  if (wanted === undefined) {
    if (files.length === 1) return files[0]!.name;
    throw new AnalysisError(
      `${archive} has ${files.length} files${some === "" ? "" : `: ${some}`}; choose one with --member`,
    );
  }
  const found = members.filter(({ name }) => name === wanted);
  if (found.length === 0) throw new AnalysisError(`${archive} has no ${wanted}; it has ${some || "no files"}`);
  if (found.length > 1)
    throw new AnalysisError(`${archive} has ${found.length} members ${wanted}; none of them can be meant`);
  if (!found[0]!.isFile) throw new AnalysisError(`${wanted} of ${archive} is no file: a folder, a link or a device`);
  return wanted;
}

/** Reads the list of 7-Zip's "l -slt": for each member lines "NAME = VALUE", and an empty one behind them. */
function readZipList(text: string): Member[] {
  return text.split(/\r?\n\r?\n/).flatMap((block) => {
    const facts = new Map(block.split(/\r?\n/).map((line) => [line.slice(0, line.indexOf(" = ")), line.slice(line.indexOf(" = ") + 3)])); // prettier-ignore
    const name = facts.get("Path");
    if (name === undefined) return [];
    // Attributes of Unix stand behind those of Windows: "A -rw-r--r--".
    const mode = / ([-dlbcps])[-rwxsStT]{9}$/.exec(facts.get("Attributes") ?? "")?.[1] ?? "-";
    const isLink = (facts.get("Symbolic Link") ?? "") !== "" || (facts.get("Hard Link") ?? "") !== "";
    return [{ name, isFile: facts.get("Folder") !== "+" && !/^D/.test(facts.get("Attributes") ?? "") && mode === "-" && !isLink }]; // prettier-ignore
  });
}

/** Reads the list of "tar --list --verbose": mode, owner, size, day, time, and the name with escapes. */
function readTarList(text: string): Member[] {
  return text.split("\n").flatMap((line) => {
    const [, type, name] = /^([-A-Za-z])\S+\s+\S+\s+\S+\s+\S+\s+\S+ (.*)$/.exec(line) ?? [];
    // Of links the list has what they lead to, too.
    if (name !== undefined && (type === "l" || type === "h"))
      return [{ name: name.replace(/ (->|link to) .*$/, ""), isFile: false }];
    return name === undefined ? [] : [{ name, isFile: type === "-" }];
  });
}

/** Takes back tar's escapes of a name. */
function unescape(name: string): string {
  const bytes = name.replace(
    /\\([0-7]{3}|.)/gs,
    (_all, code: string) =>
    /^\d/.test(code) ? String.fromCharCode(parseInt(code, 8)) : ({ n: "\n", t: "\t", r: "\r", f: "\f", b: "\b", a: "\x07", v: "\v" }[code] ?? code), // prettier-ignore
  );
  // Bytes that are no ASCII stand as escapes, each alone.
  const raw = Buffer.from(bytes, "latin1");
  return raw.toString("latin1") === bytes ? raw.toString("utf8") : bytes;
}

/** Runs an unpacker and takes its output up to a bound. */
async function run(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  most: number,
  what: string,
  take: (chunk: Buffer) => void,
): Promise<void> {
  const child: ChildProcess = spawn(program, args, {
    ...{ stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, LC_ALL: "C.UTF-8" } },
    signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]),
    killSignal: "SIGKILL",
  });
  let size = 0;
  let said = "";
  let failure: Error | undefined;
  child.stderr!.on("data", (chunk: Buffer) => (said = (said + String(chunk)).slice(-1000)));
  child.stdout!.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > most) {
      failure ??= new AnalysisError(`${what} is larger than ${most >> 20} MiB; unpack it yourself if that is right`);
      child.kill("SIGKILL");
    } else take(chunk);
  });
  const status = await new Promise<number | null>((resolve) => {
    child.once("error", (error) => {
      failure ??= new AnalysisError(`${what} cannot be unpacked: ${error.name === "AbortError" ? `it took longer than ${LIMIT_MS / 1000} s, or was cancelled` : error.message}`); // prettier-ignore
      if (child.pid === undefined) resolve(null);
    });
    child.once("close", resolve);
  });
  if (failure !== undefined) throw failure;
  if (status === 0) return;
  const reason = /wrong password/i.test(said) ? "the password is wrong; give it with --password" : said.trim().replace(/\s+/g, " ") || `${program} ended with status ${status}`; // prettier-ignore
  throw new AnalysisError(`${what} cannot be unpacked: ${reason}`);
}
