import { lookup } from "node:dns/promises";
import {
  type Findings,
  Investigation,
  type InvestigationResult,
  type ParameterPrompt,
  parseFlags,
  registerInvestigation,
  UsageShown,
  z,
} from "rebox/investigation";
import { GuestFiles } from "rebox/trusted";

const HELP = `example: the guest's host name and addresses, and look-ups of hosts
 -gethostname        the host name
 -getaddresses       the addresses of its network interfaces, without 127.0.0.1/8 and ::1/128
 -lookuphost NAME    the addresses of a host; may be given more than once
 -resolver WHO       who looks up: "host", which is the machine that rebox runs on, the default; or "hosts-file", the guest's
                     /etc/hosts; or "none"
Without flags: the host name and the addresses.`;

/** A host name of at least one label, by RFC 1123 2.1. */
const FQDN =
  /^([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9]))*$/;
const LONGEST_HOSTS_FILE = 1024 * 1024;
const LOCAL = ["127.0.0.1/8", "::1/128"];

const Parameters = z.strictObject({
  gethostname: z.boolean().default(false).describe("The guest's name."),
  getaddresses: z.boolean().default(false).describe("Its addresses."),
  lookuphost: z.array(z.string()).default([]).describe("Names whose addresses are looked up."),
  // Nothing runs in the guest, so its own resolver cannot be asked.
  resolver: z.enum(["host", "hosts-file", "none"]).default("host").describe("By which they are."),
});

interface Elements {
  hostname?: string;
  addresses?: string[];
  lookeduphost?: Record<string, string[]>;
}

interface Statistics {
  stufffound: number;
}

/** MIG's example, the template for modules: who the guest is, read from its kernel's memory. */
class Example extends Investigation<z.infer<typeof Parameters>, Elements, Statistics> {
  protected readonly schema = Parameters;

  override validateParameters(): void {
    for (const host of this.parameters.lookuphost) {
      if (host.length > 253 || !FQDN.test(host)) {
        throw new Error(
          `ValidateParameters: LookupHost parameter is not a valid FQDN: ${JSON.stringify(host.slice(0, 100))}`,
        );
      }
    }
  }

  protected async investigate(): Promise<Findings<Elements, Statistics>> {
    const { gethostname, getaddresses, lookuphost } = this.parameters;
    const elements: Elements = {};
    const errors: string[] = [];
    let stufffound = 0;
    // One look at the guest for both: nothing changes in between.
    this.context.atOneMoment(() => {
      if (gethostname) {
        elements.hostname = this.context.getGuest().hostName;
        stufffound++;
      }
      if (getaddresses) {
        const addresses = this.listAddresses();
        if (addresses.length > 0) elements.addresses = addresses;
        stufffound += addresses.length;
      }
    });
    if (lookuphost.length > 0) {
      const found = await this.lookUp(lookuphost, errors);
      if (Object.keys(found).length > 0) elements.lookeduphost = found;
    }
    return { found: stufffound > 0, elements, statistics: { stufffound }, errors };
  }

  private listAddresses(): string[] {
    return this.context
      .getGuest()
      .getNetworkInterfaces()
      .filter(({ isInInitialNamespace }) => isInInitialNamespace)
      .flatMap(({ addresses }) => addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`))
      .filter((address) => !LOCAL.includes(address));
  }

  private async lookUp(hosts: readonly string[], errors: string[]): Promise<Record<string, string[]>> {
    const found: Record<string, string[]> = {};
    const { resolver } = this.parameters;
    if (resolver === "none") {
      errors.push('lookuphost: resolver is "none", so nobody was asked: "host" or "hosts-file" can be');
      return found;
    }
    const known = resolver === "hosts-file" ? await readHostsFile() : undefined;
    for (const host of hosts) {
      this.context.signal.throwIfAborted();
      try {
        const addresses = known
          ? known.get(host.toLowerCase())
          : (await lookup(host, { all: true })).map(({ address }) => address);
        if (!addresses) throw new Error("it is not in the guest's /etc/hosts");
        found[host] = addresses;
      } catch (error) {
        errors.push(`lookuphost ${host}: ${(error as Error).message}`);
      }
    }
    return found;
  }

  printResults({ elements, statistics, errors }: InvestigationResult, foundOnly: boolean): string[] {
    const { hostname, addresses = [], lookeduphost = {} } = elements as Elements;
    const lines = [
      ...(hostname === undefined ? [] : [`hostname is ${hostname}`]),
      ...addresses.map((address) => `address is ${address}`),
      ...Object.entries(lookeduphost).flatMap(([host, found]) =>
        found.map((address) => `lookedup host ${host} has IP ${address}`),
      ),
    ];
    if (foundOnly) return lines;
    const count = (statistics as Statistics).stufffound;
    return [...lines, ...(errors ?? []).map((error) => `error: ${error}`), `stat: ${count} stuff found`];
  }

  paramsParser(args: readonly string[]): unknown {
    const kinds = { gethostname: "switch", getaddresses: "switch", lookuphost: "texts", resolver: "text" } as const;
    const flags = parseFlags(args, kinds, HELP);
    return this.accept(args.length === 0 ? { gethostname: true, getaddresses: true } : flags);
  }

  async paramsCreator(prompt: ParameterPrompt): Promise<unknown> {
    prompt.tell(HELP);
    const parameters: Record<string, unknown> = {};
    const hosts: string[] = [];
    for (;;) {
      const line = await prompt.ask("example> ");
      if (line === undefined) throw new UsageShown("nothing was asked");
      if (line === "done") return this.accept({ ...parameters, lookuphost: hosts });
      try {
        if (line === "help") prompt.tell(HELP);
        else if (line === "gethostname" || line === "getaddresses") parameters[line] = true;
        else if (line.startsWith("lookuphost ")) {
          const host = line.slice("lookuphost ".length).trim();
          this.accept({ lookuphost: [host] });
          hosts.push(host);
        } else if (line.startsWith("resolver ")) {
          const resolver = line.slice("resolver ".length).trim();
          this.accept({ resolver });
          parameters.resolver = resolver;
        } else prompt.tell("say gethostname, getaddresses, lookuphost NAME, resolver WHO, help or done");
      } catch (error) {
        prompt.tell(`${(error as Error).message}; try again`);
      }
    }
  }

  enhancePrivacy(result: InvestigationResult): InvestigationResult {
    const elements = result.elements as Elements | null;
    if (elements?.hostname === undefined) return result;
    return { ...result, elements: { ...elements, hostname: "masked" } };
  }
}

/** hosts(5): an address and its names in each line. */
async function readHostsFile(): Promise<Map<string, string[]>> {
  const hosts = new Map<string, string[]>();
  const files = await GuestFiles.open();
  try {
    const place = await files.find("/etc/hosts");
    if (!place) return hosts;
    const text = (await files.read(place, 0, LONGEST_HOSTS_FILE)).toString("utf8");
    for (const line of text.split("\n")) {
      const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
      for (const name of names) {
        const key = name.toLowerCase();
        if (address) hosts.set(key, [...(hosts.get(key) ?? []), address]);
      }
    }
    return hosts;
  } finally {
    await files.close();
  }
}

registerInvestigation("example", { newRun: (context) => new Example(context) });
