import { hostname } from "node:os";
import { resolve } from "node:path";
import { Command } from "commander";
import type { SeenHost } from "../../lab/cluster/host-list";
import { UsageError } from "../errors";
import { createLabOption, getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { asUsage } from "../serve/serve-command";
import { runService } from "../service";
import { renderTable } from "../text-table";
import { createQuotaCommand } from "./quota-command";
import { withCluster } from "./with-cluster";

const AFTER_HELP = `
The host takes an analysis only while a machine of its lab fits and is free. At SIGTERM or Ctrl-C it takes no more and waits for those that
run; the second time it ends at once, and the next rebox host on the lab delivers what has been made in the meantime.

Example: rebox lab init host1 --cluster postgresql://rebox@db/rebox --bucket http://store:7070/rebox && rebox host --lab host1`;

interface HostOptions {
  readonly lab?: string;
  readonly name?: string;
  readonly live?: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  readonly plainHttp?: boolean;
}

/**
 * Creates the command `rebox host`.
 *
 * @param onStatus receives the exit status
 */
export function createHostCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const command = new Command("host")
    .summary("make analyses of a cluster in this lab's machines")
    .description("Makes analyses of a cluster in the machines of this lab: docs/guides/hosts.md.")
    .helpOption("-h, --help", "show this help")
    .enablePositionalOptions()
    .addOption(createLabOption())
    .option("--name <name>", "the host's name in the cluster; the system's own without it")
    .option("--live <address:port>", "let servers of the cluster show the screens and consoles of its machines")
    .option("--tls-certificate <file>", "encrypt that, with this certificate (PEM)")
    .option("--tls-key <file>", "its key (PEM)")
    .option("--plain-http", "let other hosts connect there although nothing is encrypted")
    .addHelpText("after", AFTER_HELP)
    .action(async (options: HostOptions) => onStatus(await runHost(options, environment)));
  const list = new Command("list")
    .summary("list the hosts of the cluster")
    .description("Lists the hosts of the lab's cluster, with what they do.")
    .helpOption("-h, --help", "show this help")
    .addOption(createLabOption())
    .option("--json", "print JSON")
    .action(async ({ json = false, ...options }: HostOptions & { json?: boolean }) => {
      const hosts = await withCluster(options, environment, (cluster) => cluster.hosts.list());
      environment.stdout.write(json ? `${JSON.stringify(hosts)}\n` : renderHosts(hosts));
    });
  command.addCommand(list);
  for (const [name, isDraining, summary] of [
    ["drain", true, "have a host take no more work; what runs there ends as it would"],
    ["resume", false, "have a host that was drained take work again"],
  ] as const) {
    const each = new Command(name)
      .summary(summary)
      .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
      .helpOption("-h, --help", "show this help")
      .argument("<name>", "the host")
      .addOption(createLabOption())
      .action(async (host: string, options: HostOptions) => {
        await withCluster(options, environment, (cluster) => cluster.hosts.setDraining(host, isDraining));
      });
    command.addCommand(each);
  }
  command.addCommand(createQuotaCommand(environment));
  return command;
}

async function runHost(options: HostOptions, environment: RunEnvironment): Promise<number> {
  const name = options.name ?? hostname();
  if (!/^[\w.-]{1,64}$/.test(name)) throw new UsageError(`--name ${name}: it must have letters, digits, "_", "." and "-" alone`); // prettier-ignore
  const { startHost } = await import("../../server/hosts/start-host.js");
  const { AnalysisWorker } = await import("../analyze/analysis-worker.js");
  return asUsage(() =>
    runService(environment, {
      ending: "waiting for the analyses that run",
      start: async () => {
        const host = await startHost({
          ...{ name, labFolder: resolve(getLabFolder(options)), api: environment.getApi() },
          live: await readLive(options),
          startAnalysis: (labFolder, id) => new AnalysisWorker(labFolder, id, () => undefined, true),
          log: (text) => void environment.stderr.write(`rebox: ${text}\n`),
        });
        return { started: `${name} takes work`, close: () => host.close() };
      },
    }),
  );
}

async function readLive({ live, tlsCertificate, tlsKey, plainHttp = false }: HostOptions) {
  if ((tlsCertificate === undefined) !== (tlsKey === undefined))
    throw new UsageError("--tls-certificate and --tls-key belong together; name both");
  if (live === undefined) return undefined;
  const { readListenPlace } = await import("../../server/settings.js");
  const tls = tlsCertificate === undefined ? undefined : { certificate: tlsCertificate, key: tlsKey! };
  return { listen: readListenPlace(live), tls, allowsPlainHttp: plainHttp };
}

function renderHosts(hosts: readonly SeenHost[]): string {
  const rows = hosts.map(({ name, state, isDraining, load, machines, version, seen }) => [
    ...[name, isDraining && state === "working" ? "draining" : state, `${load.analyses} of ${machines.length}`],
    ...[
      load.processes.toFixed(1),
      `${(load.freeDisk / 2 ** 30).toFixed(0)} GiB`,
      version,
      seen.toISOString().slice(0, 19),
    ],
  ]);
  return renderTable([["host", "state", "machines busy", "load", "disk free", "version", "last heard of"], ...rows]);
}
