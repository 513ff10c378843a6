import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { splitQuotedWords } from "../../config/quoted-words";
import { runProgram } from "./program-run";
import { VolatilityError } from "../errors";
import { cacheFolder, environmentFolder } from "./volatility-places";

/** The oldest version that takes what rebox gives it: the layers of Linux on x86, and a whole configuration. */
const OLDEST = [2, 26, 0] as const;
const PROBE_TIMEOUT_MS = 120_000;
const INSTALL = "install it: rebox vol install; or name one in [VOL] command or REBOX_VOLATILITY";

/** A plugin of Volatility, as its help has it. */
export interface VolatilityPlugin {
  /** With dots: linux.pslist.PsList. */
  readonly name: string;
  readonly description: string;
}

/** A Volatility 3 that was found and has started. */
export interface VolatilityProgram {
  /** The program and what comes before its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly version: string;
  readonly plugins: readonly VolatilityPlugin[];
  /** The modules of plugins that it has and cannot load: yarascan, linux.vmayarascan. */
  readonly unloaded: readonly string[];
}

type Command = VolatilityProgram["command"];
type Probe = Omit<VolatilityProgram, "command">;

/** The Volatility of this process: the command that was set, and what programs answered so far. */
const state: { command: string | undefined; readonly probes: Map<string, Promise<Probe>> } = {
  command: undefined,
  probes: new Map(),
};

/**
 * Sets the command that starts Volatility ([VOL] command); undefined looks for it.
 *
 * @param command words as a shell splits them
 */
export function setVolatilityCommand(command: string | undefined): void {
  state.command = command;
}

/**
 * Gets Volatility: from [VOL] command, REBOX_VOLATILITY, `vol` on the PATH, or what `rebox vol install` has installed.
 *
 * @throws VolatilityError when there is none, it is too old, or it does not start
 */
export async function getVolatilityProgram(): Promise<VolatilityProgram> {
  const command = findVolatilityCommand();
  const identity = identify(command);
  let probe = state.probes.get(identity);
  if (!probe) {
    probe = findRemembered(identity) ?? probeProgram(command, identity);
    state.probes.set(identity, probe);
    probe.catch(() => state.probes.delete(identity));
  }
  const { version, plugins, unloaded } = await probe;
  if (compareVersions(version, OLDEST) < 0) {
    const problem = `${command.join(" ")} is Volatility ${version}, and rebox needs ${OLDEST.join(".")} or newer`;
    throw new VolatilityError("old", `${problem}; ${INSTALL}`);
  }
  return { command, version, plugins, unloaded };
}

/**
 * Finds the command of the Volatility that rebox uses, without starting it.
 *
 * @throws VolatilityError when there is none
 */
export function findVolatilityCommand(): Command {
  for (const [text, where] of [
    [state.command, "[VOL] command"],
    [process.env["REBOX_VOLATILITY"], "REBOX_VOLATILITY"],
  ] as const) {
    if (text === undefined || text.trim() === "") continue;
    const [program, ...rest] = splitQuotedWords(text) as [string, ...string[]];
    const path = program.includes("/") ? program : findOnPath(program);
    if (path === undefined || !existsSync(path)) {
      throw new VolatilityError("missing", `${where} is "${text}", and there is no program ${program}; ${INSTALL}`);
    }
    return [path, ...rest];
  }
  const onPath = findOnPath("vol");
  if (onPath !== undefined) return [onPath];
  const folder = environmentFolder();
  const script = join(folder, "bin/vol");
  if (existsSync(script)) return [join(folder, "bin/python3"), script];
  throw new VolatilityError("missing", `there is no Volatility 3: no "vol" on the PATH; ${INSTALL}`);
}

function findOnPath(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter(isAbsolute);
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Changes when any of the files that the command names is replaced. */
function identify(command: Command): string {
  const facts = command.map((word) => {
    if (!word.includes("/") || !existsSync(word)) return word;
    const { mtimeMs, size, ino } = statSync(word);
    return `${word} ${mtimeMs} ${size} ${ino}`;
  });
  return createHash("sha256").update(facts.join("\n")).digest("hex");
}

function rememberedFile(identity: string): string {
  return join(cacheFolder(), "programs", `${identity}.json`);
}

/** Finds the answer that a program gave the last time: asking takes it a second. */
function findRemembered(identity: string): Promise<Probe> | undefined {
  try {
    const probe = JSON.parse(readFileSync(rememberedFile(identity), "utf8")) as Probe;
    return typeof probe.version === "string" && Array.isArray(probe.plugins) && Array.isArray(probe.unloaded)
      ? Promise.resolve(probe)
      : undefined;
  } catch {
    return undefined;
  }
}

function remember(identity: string, probe: Probe): void {
  try {
    const file = rememberedFile(identity);
    mkdirSync(join(cacheFolder(), "programs"), { recursive: true });
    writeFileSync(`${file}.${process.pid}`, JSON.stringify(probe));
    renameSync(`${file}.${process.pid}`, file);
  } catch {
    // A cache folder that cannot be written costs time only.
  }
}

async function probeProgram(command: Command, identity: string): Promise<Probe> {
  // Wide enough that no line of its help is broken.
  const env = { COLUMNS: "4000" };
  const name = command.join(" ");
  const { status, stdout, stderr } = await runProgram([...command, "-h"], { env, timeoutMs: PROBE_TIMEOUT_MS }).catch(
    (error: unknown) => {
      if (!(error instanceof VolatilityError)) throw error;
      throw new VolatilityError("broken", `${name} does not start: ${error.message}; ${INSTALL}`, error.output);
    },
  );
  const version = /^Volatility 3 Framework (\d+\.\d+\.\d+)/m.exec(stdout)?.[1];
  if (version === undefined) {
    const last = stderr.trim().split("\n").at(-1) ?? "";
    const reason = status === 0 ? "it does not say that it is Volatility 3" : `it ended with status ${status}: ${last}`;
    throw new VolatilityError("broken", `${name} does not work: ${reason}; ${INSTALL}`, stderr);
  }
  const probe: Probe = { version, plugins: parsePlugins(stdout), unloaded: parseUnloaded(stdout) };
  remember(identity, probe);
  return probe;
}

/** In the help, each plugin stands on a line of its own, indented by four blanks, with its description behind. */
function parsePlugins(help: string): VolatilityPlugin[] {
  const section = help.slice(Math.max(0, help.search(/^Plugins:/m)));
  return [...section.matchAll(/^ {4}([A-Za-z_][\w.]*\.\w+)(?:\s*\n?\s{4,}|\s+)(\S[^\n]*)?$/gm)].map(
    ([, name, description = ""]) => ({ name: name as string, description: description.trim() }),
  );
}

/**
 * Reads which plugins could not be loaded: Volatility's help names their modules at its end, in lines that are broken anywhere.
 *
 * @param help the whole help
 */
export function parseUnloaded(help: string): string[] {
  const [, list = ""] = /The following plugins could not be loaded[^\n:]*:\s*((?:[^\n]+\n?)*)/.exec(help) ?? [];
  return [...list.matchAll(/volatility3\.plugins\.([\w.]+)/g)].map(([, name]) => name as string);
}

function compareVersions(version: string, other: readonly number[]): number {
  const parts = version.split(".").map(Number);
  for (const [index, part] of other.entries()) {
    if (parts[index] !== part) return (parts[index] ?? 0) - part;
  }
  return 0;
}
