import { closeSync, openSync } from "node:fs";
import { resolve } from "node:path";
import { findStillMachine } from "../../machine/state/machine-access";
import { Engine } from "../../machine/engine/engine";
import { holdGuestPaused } from "../../machine/state/guest-pause";
import { AttachError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { VolatilityError } from "../errors";
import { getGuest } from "../guest";
import { findPlugin } from "./find-plugin";
import { provideKernelFiles } from "./kernel-files";
import { type ProgramEnd, runProgram } from "./program-run";
import { createVolatilityConfig, findMemoryFile } from "./volatility-config";
import { layerFolder, RunFolder } from "./volatility-places";
import { getVolatilityProgram, type VolatilityPlugin, type VolatilityProgram } from "./volatility-program";
import { parseVolatilityRows, type VolatilityRow } from "./volatility-rows";

const DEFAULT_TIMEOUT_MS = 600_000;
/** Node's timers cannot wait longer. */
const LONGEST_TIMEOUT_MS = 2_147_483_647;
const PROGRESS = /Progress:\s+([\d.]+)\s*([^\r\n]*)/g;

/** How Volatility is run on the guest. */
export interface VolatilityOptions {
  /** False leaves the guest running: a plugin may then see lists while they change. True by default. */
  readonly pause?: boolean;
  /** After which Volatility is ended, in milliseconds; 0 for no limit, ten minutes by default. */
  readonly timeoutMs?: number;
  /** Ends Volatility when it is aborted. */
  readonly signal?: AbortSignal;
  /** The folder for files that plugins extract; the current folder by default. Null drops them. */
  readonly outputFolder?: string | null;
  /** Called with how far Volatility is, in percent, and what it is doing. */
  readonly onProgress?: (percent: number, what: string) => void;
}

/** The findings of a plugin of Volatility. */
export interface VolatilityResult {
  /** Its whole name. */
  readonly plugin: string;
  readonly rows: readonly VolatilityRow[];
  /** Volatility's warnings. */
  readonly warnings: readonly string[];
  /** The time that it took, in milliseconds: Volatility's own, and rebox's before and after. */
  readonly volatilityMs: number;
  readonly ownMs: number;
}

/**
 * Runs a plugin of Volatility 3 on the running guest, without a copy of its memory, or on the image that is opened; without a profile.
 *
 * The guest is paused for it and continues afterwards, also after a failure, unless it was paused before.
 *
 * @param plugin its name, or enough of it: linux.pslist.PsList, linux.pslist, pslist
 * @param args of the plugin, as on Volatility's command line
 * @throws VolatilityError; its reason says why in a word
 */
export async function runVolatility(
  plugin: string,
  args: readonly string[] = [],
  options: VolatilityOptions = {},
): Promise<VolatilityResult> {
  // An image always stands still.
  const engine = findStillMachine() ? undefined : Engine.get();
  checkGuest(engine);
  const timeoutMs = checkTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const program = await getVolatilityProgram();
  const { name } = findPlugin(plugin, program.plugins, program.unloaded);
  const started = performance.now();
  const abort = new AbortController();
  const onAbort = (): void => abort.abort(new VolatilityError("cancelled", `${name} was cancelled`));
  if (options.signal?.aborted === true) onAbort();
  options.signal?.addEventListener("abort", onAbort, { once: true });
  const ended = (["shutdown", "crashed"] as const).map((event) => engine?.on(event, () => abort.abort(guestEnded())));
  const resume = options.pause === false || !engine ? undefined : await pauseGuest(engine);
  try {
    checkGuest(engine);
    const run: Run = { name, args, options: { ...options, timeoutMs, signal: abort.signal }, guest: getGuest() };
    const { end, elapsedMs } = await execute(program, run);
    const rows = readRows(end, run);
    const warnings = readWarnings(end.stderr);
    return { plugin: name, rows, warnings, volatilityMs: elapsedMs, ownMs: performance.now() - started - elapsedMs };
  } catch (error) {
    throw explain(error, name);
  } finally {
    for (const subscription of ended) subscription?.dispose();
    options.signal?.removeEventListener("abort", onAbort);
    await resume?.();
  }
}

/**
 * Lists Volatility's plugins, by its own help.
 *
 * @param filter a part of the name; all by default
 * @throws VolatilityError when there is no Volatility
 */
export async function listVolatilityPlugins(filter = ""): Promise<readonly VolatilityPlugin[]> {
  const { plugins } = await getVolatilityProgram();
  const wanted = filter.toLowerCase();
  return plugins.filter(({ name }) => name.toLowerCase().includes(wanted));
}

interface Run {
  readonly name: string;
  readonly args: readonly string[];
  readonly options: VolatilityOptions & { readonly timeoutMs: number; readonly signal: AbortSignal };
  readonly guest: LinuxGuest;
}

async function pauseGuest(engine: Engine): Promise<() => Promise<void>> {
  try {
    return await holdGuestPaused(engine);
  } catch (error) {
    throw new VolatilityError("guest", `the guest cannot be paused: ${(error as Error).message}`);
  }
}

async function execute(program: VolatilityProgram, run: Run): Promise<{ end: ProgramEnd; elapsedMs: number }> {
  const { timeoutMs, signal, onProgress, outputFolder = process.cwd() } = run.options;
  const { isf, cache } = provideKernelFiles(run.guest);
  const folder = RunFolder.create();
  try {
    const config = folder.write("config.json", JSON.stringify(createVolatilityConfig(run.guest, isf)));
    const command = [
      ...[...program.command, "-c", config, "-p", layerFolder(), "--cache-path", cache, "--offline"],
      ...[
        "-o",
        outputFolder === null ? folder.path : resolve(outputFolder),
        "-r",
        "json",
        ...(onProgress ? [] : ["-q"]),
        run.name,
        ...run.args,
      ],
    ];
    const env = { TMPDIR: folder.path, PYTHONDONTWRITEBYTECODE: "1", PYTHONIOENCODING: "utf-8" };
    const onErrorText = onProgress && ((text: string): void => tellProgress(text, onProgress));
    const descriptor = openSync(findMemoryFile(), "r");
    const started = performance.now();
    try {
      const options = { env, timeoutMs, signal, descriptor, ...(onErrorText ? { onErrorText } : {}) };
      return { end: await runProgram(command, options), elapsedMs: performance.now() - started };
    } finally {
      closeSync(descriptor);
    }
  } finally {
    folder.remove();
  }
}

function tellProgress(text: string, onProgress: (percent: number, what: string) => void): void {
  for (const [, percent, what = ""] of text.matchAll(PROGRESS)) onProgress(Number(percent), what.trim());
}

function readRows({ status, signal, stdout, stderr }: ProgramEnd, { name, guest }: Run): VolatilityRow[] {
  if (status !== 0) {
    const how = signal === null ? `status ${status}` : `signal ${signal}`;
    const isUsage = status === 2 && stderr.includes("usage:");
    const reason = lastLines(stderr) || lastLines(stdout) || "it said nothing";
    throw new VolatilityError(isUsage ? "plugin" : "failed", `${name} failed (${how}): ${reason}`, stderr);
  }
  const unmet = [...stdout.matchAll(/^Unsatisfied requirement (\S+?):? (.*)$/gm)].map(
    ([, what, why]) => `${what} ${why}`,
  );
  if (unmet.length > 0) {
    const problem = `${name} needs what this guest does not have: ${unmet.join("; ")}`;
    throw new VolatilityError("failed", problem, stderr);
  }
  const start = stdout.search(/^\[/m);
  if (start < 0) {
    throw new VolatilityError(
      "output",
      `${name} wrote no JSON; it said: ${lastLines(stdout + stderr) || "nothing"}`,
      stderr,
    );
  }
  return parseVolatilityRows(stdout.slice(start), guest.kernel.bits);
}

/** The words of an error without the traceback before them. */
function lastLines(text: string): string {
  const lines = withoutProgress(text)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("Volatility 3 Framework") && !line.startsWith("* "))
    .filter((line) => line !== "No further results will be produced");
  return lines.slice(-2).join(" ");
}

function withoutProgress(text: string): string {
  return text.replace(/\rProgress:[^\r\n]*\r?/g, "");
}

function readWarnings(stderr: string): string[] {
  return withoutProgress(stderr)
    .split("\n")
    .filter((line) => /^(WARNING|ERROR|CRITICAL)\s/.test(line))
    .map((line) => line.replace(/\s+/g, " ").trim());
}

function explain(error: unknown, name: string): unknown {
  if (error instanceof VolatilityError) {
    if (error.reason !== "timeout" && error.reason !== "broken") return error;
    return new VolatilityError(error.reason, `${name}: ${error.message}`, error.output);
  }
  if (error instanceof AttachError) return new VolatilityError("guest", error.message);
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined) return error;
  const { path = "" } = error as NodeJS.ErrnoException;
  return new VolatilityError(
    "disk",
    `cannot write what Volatility needs (${code}) ${path}: ${(error as Error).message}`,
  );
}

function checkGuest(engine: Engine | undefined): void {
  if (engine?.state === "shutdown" || engine?.state === "crashed") throw guestEnded();
}

function guestEnded(): VolatilityError {
  return new VolatilityError("guest", "the guest has ended");
}

function checkTimeout(timeoutMs: number): number {
  if (Number.isInteger(timeoutMs) && timeoutMs >= 0 && timeoutMs <= LONGEST_TIMEOUT_MS) return timeoutMs;
  throw new RangeError(`timeoutMs is ${timeoutMs}: whole milliseconds up to ${LONGEST_TIMEOUT_MS}, 0 for no limit`);
}

/** Volatility 3 on the running guest: docs/guides/volatility.md. */
export const volatility = { run: runVolatility, list: listVolatilityPlugins } as const;
