import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { NetworkGoneError } from "../errors";
import type { ServerCertificate } from "./certificate-authority";
import { INETSIM_DATA } from "./network-host";
import { findServices, watchServices } from "./service-watch";
import { ADDRESSES } from "./simulated-addresses";

/** Its services as its configuration names them. HTTPS is left out: tls-front.ts has that port. */
const SERVICES = [
  ...[
    "dns",
    "http",
    "smtp",
    "smtps",
    "pop3",
    "pop3s",
    "ftp",
    "ftps",
    "tftp",
    "irc",
    "ntp",
    "finger",
    "ident",
    "syslog",
  ],
  ...["time", "daytime", "echo", "discard", "quotd", "chargen", "dummy"].flatMap((name) => [
    `${name}_tcp`,
    `${name}_udp`,
  ]),
];

/** Where it finds its files: a folder that its own user can reach, in whose place the analysis' folder is mounted. */
export const INETSIM_HOME = "/var/lib/inetsim";

const POLL_MS = 20;
/** INetSim writes its report at the end. */
const END_LIMIT_MS = 8_000;
/**
 * Its start script, but for two pauses of three seconds together, during which its first process does not hear signals: an analysis
 * that is short would wait for their end.
 */
const START_SCRIPT = `BEGIN {
  my $main = $$;
  *CORE::GLOBAL::sleep = sub { $$ == $main ? select(undef, undef, undef, 0.2) : CORE::sleep($_[0]) };
}
use INetSim;
INetSim::main();
exit 0;`;
/** The last second that its clock knows, in seconds since 1970. */
const LAST_S = 2 ** 31 - 1;
const NAMES: readonly (readonly [ending: string, file: string, type: string])[] = [
  ["txt", "sample.txt", "text/plain"],
  ...["htm", "html", "php"].map((ending) => [ending, "sample.html", "text/html"] as const),
  ["gif", "sample.gif", "image/gif"],
  ...["jpg", "jpeg"].map((ending) => [ending, "sample.jpg", "image/jpeg"] as const),
  ["png", "sample.png", "image/png"],
  ["bmp", "sample.bmp", "image/x-ms-bmp"],
  ["ico", "favicon.ico", "image/x-icon"],
  ...["exe", "com"].map((ending) => [ending, "sample_gui.exe", "x-msdos-program"] as const),
];

/**
 * Writes its configuration.
 *
 * @param aheadMs how far its clock is to be ahead of this host's, in milliseconds
 */
export function writeConfiguration(aheadMs = 0): string {
  const nowS = Math.floor(Date.now() / 1000);
  const aheadS = Math.min(Math.max(Math.round(aheadMs / 1000), -nowS), LAST_S - nowS);
  return [
    ...SERVICES.map((name) => `start_service ${name}`),
    `service_bind_address ${ADDRESSES.gateway}`,
    "service_max_childs 30",
    "create_reports yes",
    "dummy_banner_wait 1",
    ...(aheadS === 0 ? [] : [`faketime_init_delta ${aheadS}`]),
    `dns_default_ip ${ADDRESSES.named}`,
    ...NAMES.map(([ending, file, type]) => `http_fakefile ${ending} ${file} ${type}`),
    "http_default_fakefile sample.html text/html",
    "",
  ].join("\n");
}

/**
 * Makes the folders that it needs.
 *
 * @param order its folder gets `data`, `logs` and `report`; its clock is ahead by so much
 * @param own a folder with files in the place of its package's; left out when it does not exist
 */
export function prepareFolders(
  { folder, aheadMs }: { readonly folder: string; readonly aheadMs: number },
  own: string,
  certificate: ServerCertificate,
): void {
  for (const name of ["logs", "report"]) mkdirSync(join(folder, name), { recursive: true });
  const data = join(folder, "data");
  for (const source of [INETSIM_DATA, own]) if (existsSync(source)) cpSync(source, data, { recursive: true });
  mkdirSync(join(data, "certs"), { recursive: true });
  writeFileSync(join(data, "certs/default_cert.pem"), certificate.cert);
  writeFileSync(join(data, "certs/default_key.pem"), certificate.key);
  writeFileSync(join(folder, "inetsim.conf"), writeConfiguration(aheadMs));
}

/** INetSim, which runs. */
export class InetSim {
  readonly #child: ChildProcess;
  readonly #exited: Promise<string>;
  #isStopping = false;
  #unwatch = (): void => {};

  /**
   * Starts it in a folder of prepareFolders().
   *
   * @param user who its services run as
   */
  constructor(
    private readonly folder: string,
    user: string,
  ) {
    const output = openSync(join(folder, "logs/output.log"), "w");
    const args = [
      ...["-Tw", "-e", START_SCRIPT, "--"],
      ...[`--config=${join(folder, "inetsim.conf")}`, `--data-dir=${join(folder, "data")}`],
      ...[`--log-dir=${join(folder, "logs")}`, `--report-dir=${join(folder, "report")}`],
      ...[`--pidfile=${join(folder, "inetsim.pid")}`, "--session=analysis", `--user=${user}`],
    ];
    this.#child = spawn("perl", args, { stdio: ["ignore", output, output] });
    closeSync(output);
    this.#exited = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(`it cannot be started: ${error.message}`));
      this.#child.once("exit", (status, signal) => resolve(`it ended with ${signal ?? `status ${status}`}`));
    });
  }

  /** Settles when it has ended by itself, with what is known about why; never when it was stopped. */
  async untilGone(): Promise<string> {
    const how = await this.#exited;
    return this.#isStopping ? new Promise(() => {}) : `INetSim is gone: ${how}${this.#lastWords()}`;
  }

  /** Waits until every service listens. @throws NetworkGoneError when one cannot */
  async untilReady(): Promise<void> {
    let gone: string | undefined;
    void this.#exited.then((how) => (gone = how));
    for (;;) {
      const log = this.#log;
      const failed = /^.*\* (\S+) .*(?:failed|[Ee]rror).*$/m.exec(log);
      if (failed !== null) throw new NetworkGoneError(`INetSim's service ${failed[1]} does not begin: ${failed[0]}`);
      if (findServices(log).length >= SERVICES.length) return;
      if (gone !== undefined) throw new NetworkGoneError(`INetSim does not begin: ${gone}${this.#lastWords()}`);
      await sleep(POLL_MS);
    }
  }

  /**
   * Watches its services, which have begun.
   *
   * @param onEnd is called with the name of each that ends before INetSim does
   */
  watchServices(onEnd: (name: string) => void): void {
    this.#unwatch = watchServices(findServices(this.#log), ({ name }) => onEnd(name));
    void this.#exited.then(this.#unwatch);
  }

  /** Ends it, and has it write its report. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#unwatch();
    let hasEnded = false;
    void this.#exited.then(() => (hasEnded = true));
    const endMs = performance.now() + END_LIMIT_MS;
    for (let round = 0; !hasEnded && performance.now() < endMs; round++) {
      if (round % 10 === 0) this.#child.kill("SIGTERM");
      await sleep(POLL_MS);
    }
    this.#child.kill("SIGKILL");
  }

  get #log(): string {
    try {
      return readFileSync(join(this.folder, "logs/main.log"), "utf8");
    } catch {
      return "";
    }
  }

  #lastWords(): string {
    try {
      const last = readFileSync(join(this.folder, "logs/output.log"), "utf8").trim().split("\n").at(-1);
      return last === undefined || last === "" ? "" : `: ${last}`;
    } catch {
      return "";
    }
  }
}

/** Removes what its folders have from the package, and leaves what it and the guest have written. */
export function removeUnchanged(folder: string, own: string): void {
  rmSync(join(folder, "inetsim.pid"), { force: true });
  rmSync(join(folder, "data/certs"), { recursive: true, force: true });
  removeSame(join(folder, "data"), [INETSIM_DATA, own]);
}

/** Removes files that are empty or the same in one of the sources, and folders that have nothing else. */
function removeSame(folder: string, sources: readonly string[]): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const others = sources.map((source) => join(source, entry.name));
    if (entry.isDirectory()) removeSame(path, others);
    else if (lstatSync(path).size === 0 || others.some((other) => isSame(path, other))) rmSync(path);
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}

function isSame(path: string, other: string): boolean {
  return existsSync(other) && lstatSync(other).isFile() && readFileSync(path).equals(readFileSync(other));
}
