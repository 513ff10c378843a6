import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { loadConfig } from "../../config/rebox-config";
import { resolveProfile } from "../../systems/symbols/profile-store";
import { UsageError } from "../errors";
import type { EnginePort } from "./run-environment";
import type { RunEnd } from "./run-end";
import { getMonitorArgs, type MonitorOption, checkSocketPath } from "./sockets";

/** The options of `rebox run`, parsed but not yet joined with a pyrebox.conf. */
export interface RunOptions {
  readonly config?: string;
  readonly script?: readonly string[];
  /** The scripts of this command line run outside the sandbox. */
  readonly trust?: boolean;
  /** Scripts are reloaded when they are saved. */
  readonly watch?: boolean;
  readonly monitor?: MonitorOption;
  /** The path of the socket for `rebox attach`. */
  readonly control?: string;
  /** A shell reads standard input. */
  readonly shell?: boolean;
  /** The terminal UI. */
  readonly ui?: boolean;
  /** The shell reads plain lines, also at a terminal. */
  readonly plain?: boolean;
  /** Another process shows the UI, through this control socket. */
  readonly behindUi?: string;
  /** Names of persistent modules. */
  readonly investigate?: readonly string[];
  /** The folder of their configuration. */
  readonly investigateConf?: string;
  /** Every answer of an investigation is masked. */
  readonly private?: boolean;
  /** In milliseconds. */
  readonly timeout?: number;
  readonly json?: string;
  /** In milliseconds. */
  readonly callbackLimit?: number;
}

/** The side of a run that a recorded machine talks to. */
export interface RecordedPort {
  /** Prints a sentence of rebox itself. */
  say(text: string): void;
  /** Prints what was asked for, and writes it into the JSON log as an event of this type. */
  tell(text: string, type: string, detail: object): void;
  end(end: RunEnd): void;
}

/** A machine that is recorded or replayed, in place of one that QEMU's arguments alone describe. */
export interface RecordedRun {
  /** Prepares it. @returns QEMU's arguments; it throws RecordingError for what cannot be recorded or replayed */
  prepare(): Promise<readonly string[]>;
  /** Called when the machine is built: nothing of it has been executed. */
  watch(engine: EnginePort, port: RecordedPort): void;
  /** Says how it came out, when the machine is gone. */
  describe(end: RunEnd): RecordedOutcome | undefined;
  /** Removes what it has made for itself; it can be called twice, also in the handler of a process' end. */
  close(): void;
}

/** How a recording or a replay came out. */
export interface RecordedOutcome {
  readonly sentence: string;
  /** Of the JSON log. */
  readonly detail: object;
  readonly hasFailed: boolean;
}

/** Everything that a run does, decided before it starts. */
export interface RunPlan {
  /** QEMU's arguments, without the program's name. */
  readonly qemuArgs: readonly string[];
  /** Paths or names in module notation, in the order of loading. */
  readonly scripts: readonly string[];
  /** Those of them that are trusted by the command line. */
  readonly trustedScripts: readonly string[];
  /** The configuration, whose permissions are read anew for each script that is loaded; absolute. It need not exist. */
  readonly configFile: string;
  readonly watch: boolean;
  /** The folders in which module notation is looked up. */
  readonly scriptFolders: readonly string[];
  readonly monitorSocket: string | undefined;
  readonly controlSocket: string | undefined;
  readonly hasShell: boolean;
  /** Another process shows the UI. */
  readonly isBehindUi: boolean;
  /** Persistent modules that start with the engine. */
  readonly investigations: readonly string[];
  /** The folder of their <module>.cfg. */
  readonly investigationConfig: string;
  /** Every answer of an investigation is masked, whoever asks. */
  readonly hasPrivateInvestigations: boolean;
  readonly timeoutMs: number | undefined;
  readonly jsonFile: string | undefined;
  readonly callbackLimitMs: number | undefined;
  /** The file of the profile for a kernel that says too little about itself. */
  readonly profile: string | undefined;
  /** The command that starts Volatility 3. */
  readonly volatilityCommand: string | undefined;
  /** Warnings about the configuration, one line each. */
  readonly warnings: readonly string[];
  /** What gives the arguments of a machine that is recorded or replayed; undefined for any other. */
  readonly recorded?: RecordedRun;
}

/** Of the current folder: used when no other is named. */
export const DEFAULT_CONFIG = "pyrebox.conf";

/**
 * Joins command line and configuration file; the command line wins.
 *
 * @param options the options of the command line
 * @param qemuArgs the words behind "--"; undefined when there is no "--"
 * @param projectFolder rebox's own folder, the last one in which scripts are looked up
 * @throws ConfigError for a wrong or missing configuration file
 * @throws UsageError when neither has arguments for QEMU
 */
export function createRunPlan(
  options: RunOptions,
  qemuArgs: readonly string[] | undefined,
  projectFolder: string,
): RunPlan {
  const configFile = options.config ?? (existsSync(DEFAULT_CONFIG) ? DEFAULT_CONFIG : undefined);
  const config = configFile === undefined ? undefined : loadConfig(configFile);
  const args = qemuArgs ?? config?.qemuArgs;
  if (args === undefined) {
    const where = config === undefined ? "" : ` in ${configFile}`;
    const example = "rebox run -- -m 512 -hda disk.qcow2";
    throw new UsageError(
      `nothing to run: put QEMU's arguments behind "--" (${example}) or as "args" into [QEMU]${where}`,
    );
  }
  const monitor = options.monitor;
  const control = options.behindUi ?? options.control;
  const modules = (config?.modules ?? []).filter((module) => module.enabled).map((module) => module.name);
  return {
    // First, so that QEMU itself can say what is missing behind the last of the user's arguments.
    qemuArgs: [...(monitor === undefined ? [] : getMonitorArgs(monitor)), ...args],
    scripts: [...modules, ...(options.script ?? [])],
    trustedScripts: options.trust === true ? (options.script ?? []) : [],
    configFile: resolve(configFile ?? DEFAULT_CONFIG),
    watch: options.watch ?? false,
    scriptFolders: [...(config === undefined ? [] : [dirname(config.file)]), ".", projectFolder],
    monitorSocket: typeof monitor === "object" ? monitor.socket : undefined,
    controlSocket: control === undefined ? undefined : checkSocketPath(control, "--control"),
    isBehindUi: options.behindUi !== undefined,
    // The shell is in the UI then.
    hasShell: (options.shell ?? false) && options.behindUi === undefined,
    investigations: [...new Set([...(config?.investigations ?? []), ...(options.investigate ?? [])])],
    investigationConfig: options.investigateConf ?? config?.investigationConfig ?? "conf",
    hasPrivateInvestigations: options.private === true || config?.hasPrivateInvestigations === true,
    timeoutMs: options.timeout,
    jsonFile: options.json,
    callbackLimitMs: options.callbackLimit ?? config?.callbackLimitMs,
    profile: config?.volatilityProfile && resolveProfile(config.volatilityProfile, dirname(config.file)),
    volatilityCommand: config?.volatilityCommand,
    warnings: (config?.warnings ?? []).map(String),
  };
}
