import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import { parseNamedValues } from "../../config/named-values";
import type { AnalysisRequest } from "../../lab/analysis/analysis-database";
import { findNetwork, NETWORK_FORMS } from "../../lab/network/network-choice";
import { RECORD_OPTION } from "../../lab/analysis/target/recorded-analysis";
import { UsageError } from "../errors";

/** In seconds: a day. */
const LONGEST_S = 86_400;

/** How a target is started, and on which machines. */
export interface TargetOptions {
  readonly password?: string;
  readonly argument?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly folder?: string;
  readonly platform?: string;
  readonly tag?: readonly string[];
}

/** The options of `rebox analyze`, as they were parsed. */
export interface AnalyzeOptions extends TargetOptions {
  readonly machine?: string;
  readonly osVersion?: string;
  readonly architecture?: string;
  readonly machinery?: string;
  readonly golden?: string;
  readonly host?: string;
  readonly target?: readonly string[];
  readonly command?: string;
  readonly timeout: number;
  readonly script?: readonly string[];
  readonly options?: Readonly<Record<string, string>>;
  readonly network?: string;
  readonly member?: string;
  readonly option?: Readonly<Record<string, string>>;
  readonly record?: boolean;
  readonly priority?: number;
  readonly reboot?: number;
  readonly runs: number;
  readonly parallel?: number;
  readonly lab?: string;
  readonly json?: boolean;
}

/**
 * Makes the analyses that a command line asks for: one for each target, so often as --runs says.
 *
 * @throws UsageError for files that are not there
 */
export function createRequests(asked: AnalyzeOptions): AnalysisRequest[] {
  const { machine, target = [], command, timeout, script = [], network, runs } = asked;
  const recorded = asked.record === true ? { [RECORD_OPTION]: "yes" } : {};
  const options = { ...asked.options, ...asked.option, ...recorded };
  if (target.length === 0 && command === undefined) {
    throw new UsageError("there is nothing to analyse: name a file by --target, or what to run by --command");
  }
  const { member, password, platform, tag: tags = [], osVersion, architecture, machinery, golden, host } = asked;
  if (target.length === 0 && (member ?? password) !== undefined)
    throw new UsageError("--member and --password are about an archive: name it by --target");
  const chooses = [platform, osVersion, architecture, machinery, golden].some((each) => each !== undefined) || tags.length > 0; // prettier-ignore
  if (machine !== undefined && chooses)
    throw new UsageError(
      "--platform, --os-version, --architecture, --machinery, --golden and --tag choose a machine, and --machine has named one; leave out either",
    );
  const more = {
    ...{ start: { args: asked.argument ?? [], env: asked.env ?? {}, user: asked.user, workingFolder: asked.folder } },
    ...{
      archive: { member, password },
      choice: { platform, tags, osVersion, architecture, machinery, golden },
      priority: asked.priority,
    },
    ...(host === undefined ? {} : { host }),
    ...(asked.reboot === undefined ? {} : { rebootS: asked.reboot }),
  };
  const scripts = script.map((file) => findFile(file, "--script"));
  const targets = target.length === 0 ? [undefined] : target.map((file) => findFile(file, "--target"));
  return targets.flatMap((file) =>
    Array.from({ length: runs }, () => ({
      machine,
      target: file,
      command,
      options,
      timeoutS: timeout,
      scripts,
      network,
      ...more,
    })),
  );
}

function findFile(file: string, option: string): string {
  const path = resolve(file);
  if (!existsSync(path)) throw new UsageError(`${option} ${file}: there is no such file`);
  if (!statSync(path).isFile()) throw new UsageError(`${option} ${file}: this is no file`);
  return path;
}

/** Parses `k=v,k2='v,w'`; further ones are added. */
export function parseOptions(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const pairs = parseNamedValues(text);
  if ("wrong" in pairs) {
    throw new InvalidArgumentError(
      `It must be NAME=VALUE,NAME=VALUE...; a comma in a value is \\, or within quotes. No such pair: "${pairs.wrong}".`,
    );
  }
  return { ...before, ...Object.fromEntries(pairs.map(({ name, value }) => [name, value])) };
}

/** Parses one `NAME=VALUE`, whose value is everything behind the first "="; further ones are added. */
export function parseOption(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, name, value] = /^([\w.-]+)=([^]*)$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError("It must be NAME=VALUE.");
  return { ...before, [name]: value! };
}

/** Parses a variable of the environment; further ones are added. */
export function parseVariable(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const [, name, value] = /^([A-Za-z_]\w*)=([^]*)$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError("It must be NAME=VALUE, with a name that shells know.");
  return { ...before, [name]: value! };
}

/** Parses a user's name, as useradd(8) permits it. */
export function parseUser(text: string): string {
  if (!/^[A-Za-z_][\w.-]{0,63}$/.test(text))
    throw new InvalidArgumentError("It must be the name of a user of the guest.");
  return text;
}

/** Parses a folder of the guest. */
export function parseGuestFolder(text: string): string {
  if (!text.startsWith("/")) throw new InvalidArgumentError("It must be an absolute path in the guest.");
  return text;
}

/** Parses a network. */
export function parseNetwork(text: string): string {
  if (findNetwork(text) === undefined) throw new InvalidArgumentError(`It must be ${NETWORK_FORMS}.`);
  return text;
}

/** Parses seconds. */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds < 0.001 || seconds > LONGEST_S) {
    throw new InvalidArgumentError(`It must be a number of seconds from 0.001 to ${LONGEST_S}.`);
  }
  return seconds;
}

/** Parses a number of analyses. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 1 to 99999.");
  return Number(text);
}

/** Parses a priority. */
export function parsePriority(text: string): number {
  if (!/^[1-3]$/.test(text)) throw new InvalidArgumentError("It must be 1, 2 or 3.");
  return Number(text);
}

/** Collects the values of an option that may be given more than once. */
export function collect(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}
