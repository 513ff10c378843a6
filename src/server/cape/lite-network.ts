import { isOfTarget } from "../../lab/analysis/report/process-tree";
import type { LiteSource } from "./lite-report";

/** A conversation, as CAPE's report has it. */
interface LiteFlow {
  readonly src: string;
  readonly sport: number;
  readonly dst: string;
  readonly dport: number;
  /** Seconds since the analysis began. */
  readonly time: number;
}

/**
 * Makes the part of CAPE's report on the network: of the recorded frames, or else of what the target did. What CAPE reads out of HTTP
 * and TLS is empty.
 */
export function createLiteNetwork(report: LiteSource): Record<string, unknown> {
  const { analysis, modules, network, knowsTarget } = report;
  const flows = modules.captures.flatMap((capture) => capture.flows);
  const begin = Date.parse(analysis.created);
  const secondsSince = (time: string) => Math.max(0, (Date.parse(time) - begin) / 1000);
  const listFlows = (wanted: string): LiteFlow[] =>
    flows
      .filter(({ protocol }) => protocol === wanted)
      .map(({ source, sourcePort, destination, destinationPort, began }) => ({ src: source, sport: sourcePort, dst: destination, dport: destinationPort, time: secondsSince(began) })); // prettier-ignore
  const listActs = (wanted: string): LiteFlow[] =>
    network.flatMap(({ protocol, address, port, time, origin }) =>
      protocol === wanted && typeof address === "string" && (!knowsTarget || isOfTarget(origin))
        ? [{ src: "", sport: 0, dst: address, dport: typeof port === "number" ? port : 0, time: secondsSince(time) }]
        : [],
    );
  const list = (protocol: string) => (flows.length > 0 ? listFlows(protocol) : listActs(protocol));
  const names = analysis.network?.names ?? [];
  const [tcp, udp] = [list("tcp"), list("udp")];
  return {
    dns: names.map(({ name, type, began }) => ({ request: name, type, answers: [], first_seen: secondsSince(began) })),
    ...{ tcp, udp, http: [], https: [], http_ex: [], https_ex: [], icmp: [], smtp: [], irc: [] },
    domains: [...new Set(names.map(({ name }) => name))].map((domain) => ({ domain, ip: "" })),
    hosts: [...new Set([...tcp, ...udp].map(({ dst }) => dst))].map((ip) => ({ ip, country_name: "unknown", hostname: "" })), // prettier-ignore
  };
}
