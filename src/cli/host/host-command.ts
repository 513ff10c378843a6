import { hostname } from "node:os";
import { resolve } from "node:path";
import { Command } from "commander";
import type { Cluster } from "../../lab/cluster/open-cluster";
import type { SeenHost } from "../../server/hosts/host-entry";
import { UsageError } from "../errors";
import { createLabOption, getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { runService } from "../service";
import { renderTable } from "../text-table";

const AFTER_HELP = `
The host takes an analysis only while a machine of its lab fits and is free. At SIGTERM or Ctrl-C it takes no more and waits for those that
run; the second time it ends at once, and the next rebox host on the lab delivers what has been made in the meantime.

Example: rebox lab init host1 --cluster postgresql://rebox@db/rebox --bucket http://store:7070/rebox && rebox host --lab host1`;

interface HostOptions {
  readonly lab?: string;
  readonly name?: string;
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
    .addHelpText("after", AFTER_HELP)
    .action(async (options: HostOptions) => onStatus(await runHost(options, environment)));
  const list = new Command("list")
    .summary("list the hosts of the cluster")
    .description("Lists the hosts of the lab's cluster, with what they do.")
    .helpOption("-h, --help", "show this help")
    .addOption(createLabOption())
    .option("--json", "print JSON")
    .action(async ({ json = false, ...options }: HostOptions & { json?: boolean }) => {
      const { listHosts } = await import("../../server/hosts/host-entry.js");
      const hosts = await withCluster(options, environment, (cluster) => listHosts(cluster));
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
        const { setDraining } = await import("../../server/hosts/host-entry.js");
        await withCluster(options, environment, (cluster) => setDraining(cluster, host, isDraining));
      });
    command.addCommand(each);
  }
  return command;
}

async function runHost(options: HostOptions, environment: RunEnvironment): Promise<number> {
  const name = options.name ?? hostname();
  if (!/^[\w.-]{1,64}$/.test(name)) throw new UsageError(`--name ${name}: it must have letters, digits, "_", "." and "-" alone`); // prettier-ignore
  const { startHost } = await import("../../server/hosts/start-host.js");
  const { AnalysisWorker } = await import("../analyze/analysis-worker.js");
  return runService(environment, {
    ending: "waiting for the analyses that run",
    start: async () => {
      const host = await startHost({
        ...{ name, labFolder: resolve(getLabFolder(options)), api: environment.getApi() },
        startAnalysis: (labFolder, id) => new AnalysisWorker(labFolder, id, () => undefined, true),
        log: (text) => void environment.stderr.write(`rebox: ${text}\n`),
      });
      return { started: `${name} takes work`, close: () => host.close() };
    },
  });
}

async function withCluster<Result>(
  options: HostOptions,
  { stderr }: RunEnvironment,
  use: (cluster: Cluster) => Promise<Result>,
): Promise<Result> {
  const { openCluster } = await import("../../lab/cluster/open-cluster.js");
  const cluster = await openCluster(resolve(getLabFolder(options)), (text) => void stderr.write(`rebox: ${text}\n`));
  try {
    return await use(cluster);
  } finally {
    await cluster.close();
  }
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
