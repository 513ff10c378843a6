import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { Auxiliary, AuxiliaryDisabled, z } from "rebox/lab";

/** tcpdump's usual remarks, which are no errors. */
const HARMLESS =
  /^(tcpdump: listening on .*|\d+ packets? (captured|received by filter)|\d+ packets? dropped by (kernel|interface)|(tcpdump: )?dropped privs to \S+)?$/;

/** A time, in milliseconds, in which tcpdump finds that it cannot listen; and one in which it ends when it is told to. */
const LISTEN_MS = 5_000;
const END_MS = 5_000;

/** The kernel hands frames over once a second (tcpdump's read timeout); what comes later than that before the end is lost. */
const LAST_FRAMES_MS = 1_200;

const SETTINGS = {
  tcpdump: z.string().default("/usr/bin/tcpdump").describe("The program."),
  interface: z.string().optional().describe("The interface of machines that have none of their own."),
  bpf: z
    .string()
    .optional()
    .meta({ examples: ["not arp"], description: "More of tcpdump's expressions; all must hold." }),
  agent_port: z
    .int()
    .min(0)
    .max(65535)
    .default(8000)
    .describe("Where an agent in the machine listens; its frames are left out. 0: there is none."),
  enable_pcap: z
    .boolean()
    .default(true)
    .describe("no: nothing is recorded for an analysis with the option route=none or route=drop."),
};

/** Records the machine's network frames with tcpdump, into dump.pcap, as CAPE's sniffer does. */
export default class Sniffer extends Auxiliary<typeof SETTINGS> {
  static override readonly description = "Records the frames of a network interface with tcpdump, into dump.pcap.";
  static override readonly settings = SETTINGS;

  private process: ChildProcess | undefined;
  private ended: Promise<string> | undefined;
  private errors = "";

  override async start(): Promise<void> {
    const route = this.run.options.route?.toLowerCase() ?? "";
    if (!this.options.enable_pcap && ["none", "drop", "false"].includes(route)) {
      throw new AuxiliaryDisabled(`the route is "${route}", and enable_pcap is off`);
    }
    const command = this.getCommand();
    this.log.debug(command.join(" "));
    const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "ignore", "pipe"] });
    this.process = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.errors += text));
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (status, signal) => resolve(`it ended with ${signal ?? `status ${status}`}`));
    });
    const end = await Promise.race([this.ended, this.untilListening(child)]);
    if (end !== undefined) {
      this.process = undefined;
      throw new Error(`tcpdump does not listen: ${this.unusual() || end}`);
    }
  }

  override async stop(): Promise<void> {
    const child = this.process;
    if (child === undefined) return;
    this.process = undefined;
    await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, LAST_FRAMES_MS))]);
    if (child.exitCode !== null || child.signalCode !== null) {
      this.log.warn(`tcpdump was gone before the end: ${this.unusual() || (await this.ended)}`);
      return;
    }
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), END_MS);
    await this.ended;
    clearTimeout(timer);
    const unusual = this.unusual();
    if (unusual !== "") this.log.warn(`tcpdump said: ${unusual}`);
    if (!existsSync(this.file)) this.log.warn(`tcpdump has left no ${this.file}`);
  }

  private get file(): string {
    return join(this.run.folder, "dump.pcap");
  }

  /** Returns the program and its arguments. */
  private getCommand(): string[] {
    const program = this.options.tcpdump;
    try {
      accessSync(program, constants.X_OK);
    } catch {
      throw new Error(`${program} is not a program that can be executed; install tcpdump, or set tcpdump in [sniffer]`);
    }
    const device = this.machine.interface ?? this.options.interface;
    if (device === undefined) {
      throw new Error(`no network interface: neither machine ${this.machine.name} nor [sniffer] names one`);
    }
    if (this.machine.ip === undefined) throw new Error(`machine ${this.machine.name} has no ip to listen for`);
    const { username, uid } = userInfo();
    const sudo = uid === 0 ? [] : ["sudo", "--non-interactive", "--"];
    const options = ["-U", "-q", "-s", "0", "-i", device, "-n", "-Z", username, "-w", this.file];
    return [...sudo, program, ...options, ...this.getFilter(this.machine.ip)];
  }

  /** Returns the expression that leaves out what the lab itself exchanges with the machine. */
  private getFilter(ip: string): string[] {
    const agentPort = this.options.agent_port;
    const { bpf } = this.options;
    const server = this.machine.resultServer;
    const notTo = (host: string, port: number) => [
      ...["and", "not", "(", "dst", "host", host, "and", "dst", "port", String(port), ")"],
      ...["and", "not", "(", "src", "host", host, "and", "src", "port", String(port), ")"],
    ];
    return [
      ...["host", ip],
      ...(agentPort === 0 ? [] : notTo(ip, agentPort)),
      ...(server === undefined ? [] : notTo(server.ip, server.port)),
      ...(bpf === undefined ? [] : ["and", "(", bpf, ")"]),
    ];
  }

  private untilListening(child: ChildProcess): Promise<undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), LISTEN_MS);
      child.stderr!.on("data", () => {
        if (!/listening on/.test(this.errors)) return;
        clearTimeout(timer);
        resolve(undefined);
      });
      child.once("close", () => clearTimeout(timer));
    });
  }

  /** What tcpdump said that it does not always say. */
  private unusual(): string {
    return this.errors
      .split("\n")
      .filter((line) => !HARMLESS.test(line.trim()))
      .join("; ");
  }
}
