import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { connect, isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Findings,
  formatDuration,
  Investigation,
  type InvestigationResult,
  parseFlags,
  registerInvestigation,
  z,
} from "rebox/investigation";

/** What latencies say instead of a time. */
const TIMED_OUT = 9999999;
const REFUSED = -1;
const FAILED = 0;
const DEFAULT_PORT = 80;
const DEFAULT_COUNT = 3;
const DEFAULT_TIMEOUT_S = 5;
const MOST_PINGS = 1000;
const LONGEST_TIMEOUT_S = 300;
const BETWEEN_MS = 100;
const VANTAGES = ["host"] as const;

const Parameters = z.strictObject({
  destination: z.string().min(1).describe("A name or an address, v4 or v6."),
  destinationport: z.int().min(1).max(65535).optional().describe("80 without it; none for icmp."),
  protocol: z.enum(["icmp", "tcp", "udp"]),
  count: z.int().min(0).max(MOST_PINGS).default(0).describe("How often; 0 for 3 times."),
  timeout: z.number().min(0).max(LONGEST_TIMEOUT_S).default(0).describe("For each, in seconds; 0 for 5."),
  vantage: z.enum(VANTAGES).default("host").describe("From where: this host is what there is."),
});
type Parameters = z.infer<typeof Parameters>;

interface Elements {
  /** In milliseconds; 9999999 for no answer in time, -1 for a refusal, 0 for an error. */
  readonly latencies: readonly number[];
  readonly protocol: string;
  readonly resolvedhost: string;
  readonly failures: readonly string[];
  readonly vantage: string;
}

interface Statistics {
  readonly exectime: string;
}

/** What one ping came to: a latency, and what went wrong. */
interface Outcome {
  readonly latency: number;
  readonly failure?: string;
}

interface Target {
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const HELP = `ping tells whether a destination can be reached, from this host: not from within a guest.

-d DESTINATION   a name or an address
-dp PORT         for tcp and udp; 80 without it
-p PROTOCOL      icmp, tcp or udp
-c COUNT         how often; 3 without it
-t SECONDS       how long each may take; 5 without it

icmp needs the program ping, and whatever that needs. No answer by udp says little: the port may be open.`;

class Ping extends Investigation<Parameters, Elements, Statistics> {
  protected readonly schema = Parameters as z.ZodType<Parameters>;

  override validateParameters(): void {
    const { protocol, destinationport, destination } = this.parameters;
    if (protocol === "icmp" && destinationport !== undefined)
      throw new Error("icmp knows no ports: leave destinationport out");
    // It is a word of a command line, too.
    if (!/^[\w.:%-]+$/.test(destination) || destination.startsWith("-")) {
      throw new Error(`'${destination}' is neither a name nor an address`);
    }
  }

  protected async investigate(): Promise<Findings<Elements, Statistics>> {
    const startMs = performance.now();
    const { destination, protocol, vantage } = this.parameters;
    const port = this.parameters.destinationport ?? DEFAULT_PORT;
    const address = await resolve(destination);
    const { signal } = this.context;
    const target: Target = { address, port, timeoutMs: (this.parameters.timeout || DEFAULT_TIMEOUT_S) * 1000, signal };
    const latencies: number[] = [];
    const failures: string[] = [];
    const count = this.parameters.count || DEFAULT_COUNT;
    for (let number = 1; number <= count; number++) {
      if (number > 1) await sleep(BETWEEN_MS, undefined, { signal });
      const { latency, failure } = await PROTOCOLS[protocol](target);
      signal.throwIfAborted();
      latencies.push(latency);
      if (failure !== undefined) failures.push(`ping #${number}: ${failure}`);
    }
    const found = latencies.some((latency) => latency > 0 && (latency !== TIMED_OUT || protocol === "udp"));
    const host =
      protocol === "icmp" ? destination : `${isIP(destination) === 6 ? `[${destination}]` : destination}:${port}`;
    const exectime = formatDuration((performance.now() - startMs) * 1e6);
    const elements = { latencies, protocol, resolvedhost: `${host} (${address})`, failures, vantage };
    return { found, elements, statistics: { exectime } };
  }

  printResults(result: InvestigationResult, foundOnly: boolean): string[] {
    const elements = result.elements as Elements | null;
    const lines: string[] = [];
    if (elements) {
      const { protocol, resolvedhost, vantage, latencies, failures } = elements;
      const what = `${protocol} ping of ${resolvedhost} from the ${vantage}`;
      if (result.foundanything) lines.push(`${what} succeeded: it can be reached`);
      if (foundOnly) return lines;
      if (!result.foundanything) lines.push(`${what} failed: it cannot be reached`);
      latencies.forEach((latency, index) => lines.push(`ping #${index + 1} ${describe(latency, protocol)}`));
      lines.push(...failures);
    }
    if (!foundOnly) for (const error of result.errors ?? []) lines.push(`error: ${error}`);
    return lines;
  }

  paramsParser(args: readonly string[]): Parameters {
    const given = parseFlags(args, { d: "text", dp: "number", p: "text", c: "number", t: "number" }, HELP);
    const names = { d: "destination", dp: "destinationport", p: "protocol", c: "count", t: "timeout" } as const;
    return this.accept(
      Object.fromEntries(Object.entries(given).map(([flag, value]) => [names[flag as keyof typeof names], value])),
    );
  }
}

function describe(latency: number, protocol: string): string {
  switch (latency) {
    case REFUSED:
      return "was refused";
    case FAILED:
      return "failed";
    case TIMED_OUT:
      return protocol === "udp" ? "may have succeeded: no answer" : "failed: no answer in time";
    default:
      return `succeeded in ${latency.toFixed(3)} ms`;
  }
}

async function resolve(destination: string): Promise<string> {
  if (isIP(destination) !== 0) return destination;
  try {
    return (await lookup(destination)).address;
  } catch (error) {
    throw new Error(`${destination} has no address: ${(error as Error).message}`, { cause: error });
  }
}

const PROTOCOLS: Readonly<Record<Parameters["protocol"], (target: Target) => Promise<Outcome>>> = {
  tcp: ({ address, port, timeoutMs, signal }) =>
    new Promise((settle) => {
      const startMs = performance.now();
      const socket = connect({ host: address, port, signal });
      const end = (outcome: Outcome): void => {
        clearTimeout(timer);
        socket.destroy();
        settle(outcome);
      };
      const timer = setTimeout(() => end({ latency: TIMED_OUT }), timeoutMs);
      socket.once("connect", () => end({ latency: since(startMs) }));
      socket.on("error", (error) => end(toOutcome(error)));
    }),

  udp: ({ address, port, timeoutMs, signal }) =>
    new Promise((settle) => {
      const startMs = performance.now();
      const socket = createSocket({ type: isIP(address) === 6 ? "udp6" : "udp4", signal });
      let isOver = false;
      const end = (outcome: Outcome): void => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        if (!signal.aborted) socket.close();
        settle(outcome);
      };
      const timer = setTimeout(() => end({ latency: TIMED_OUT }), timeoutMs);
      socket.on("message", () => end({ latency: since(startMs) }));
      socket.on("error", (error) => end(toOutcome(error)));
      socket.on("close", () => end({ latency: FAILED, failure: "it was ended" }));
      // Connected, so that a refusal is told to it.
      socket.connect(port, address, () => socket.send("ping", (error) => error && end(toOutcome(error))));
    }),

  // Node has no sockets for it. The program has what it needs where it is installed: a capability, or the system's permission.
  icmp: ({ address, timeoutMs, signal }) =>
    new Promise((settle) => {
      const startMs = performance.now();
      const args = ["-n", "-c", "1", "-W", String(Math.ceil(timeoutMs / 1000)), address];
      const child = spawn("ping", args, {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, LC_ALL: "C" },
        signal,
      });
      let [output, errors] = ["", ""];
      child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
      child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
      const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs + 1000);
      child.once("error", (error) => {
        clearTimeout(timer);
        const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
        settle({
          latency: FAILED,
          failure: isMissing ? "there is no program ping: install iputils-ping" : error.message,
        });
      });
      child.once("close", (status) => {
        clearTimeout(timer);
        const time = /time=([\d.]+) ms/.exec(output)?.[1];
        if (status === 0) settle({ latency: time === undefined ? since(startMs) : Math.max(Number(time), 0.001) });
        else if (errors.trim() === "" && !/unreachable|prohibited/i.test(output)) settle({ latency: TIMED_OUT });
        else if (/unreachable|prohibited/i.test(output)) settle({ latency: REFUSED });
        else settle({ latency: FAILED, failure: errors.trim() });
      });
    }),
};

function toOutcome(error: Error): Outcome {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ECONNREFUSED") return { latency: REFUSED };
  if (code === "ETIMEDOUT") return { latency: TIMED_OUT };
  return { latency: FAILED, failure: error.message };
}

/** Never 0, which would be an error. */
function since(startMs: number): number {
  return Math.max(Math.round((performance.now() - startMs) * 1000) / 1000, 0.001);
}

registerInvestigation("ping", { newRun: (context) => new Ping(context) });
