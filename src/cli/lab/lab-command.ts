import { Command, Option } from "commander";
import { relative, resolve } from "node:path";
import { UsageError } from "../errors";
import { ExitStatus } from "../exit-status";
import type { RunEnvironment } from "../run/run-environment";
import { createKeepingCommands } from "./keeping-commands";

interface InitOptions {
  readonly regen?: boolean;
  readonly format: "yaml" | "conf";
  readonly cluster?: string;
  readonly bucket?: string;
}

/**
 * Creates the command `rebox lab`.
 *
 * @param onStatus receives the exit status: 1 when a module of the user's cannot be used
 */
export function createLabCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const { stdout, stderr } = environment;
  const init = new Command("init")
    .summary("make a lab")
    .description(
      "Makes a lab: its folders, and a commented configuration for every machinery and auxiliary module, yours included.",
    )
    .helpOption("-h, --help", "show this help")
    .argument("[folder]", "where", ".")
    .option("--regen", "the lab is there: make the files that are missing")
    .addOption(new Option("--format <format>", "of the configuration").choices(["yaml", "conf"]).default("yaml"))
    .option(
      "--cluster <place>",
      "let hosts of a cluster make its analyses: postgresql://USER:PASSWORD@HOST:PORT/NAME, or a folder of this host",
    )
    .option(
      "--bucket <url>",
      "the cluster's bucket of the S3 API, http://HOST:PORT/BUCKET; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are its keys",
    ) // prettier-ignore
    .action(async (folder: string, { regen = false, format, cluster, bucket }: InitOptions) => {
      if (cluster === undefined && bucket !== undefined)
        throw new UsageError("--bucket belongs to a cluster; name that, too, by --cluster");
      const { initAuxiliary } = await import("../../lab/auxiliary/init-auxiliary.js");
      const { initLab } = await import("../../lab/init-lab.js");
      const api = environment.getApi();
      const lab = await initLab(folder, { regen, format, api });
      const auxiliary = await initAuxiliary(folder, api);
      const failures = [...lab.failures, ...auxiliary.failures];
      const written = [...lab.written, ...auxiliary.written];
      if (cluster !== undefined) {
        const { joinCluster } = await import("../../lab/cluster/join-cluster.js");
        const { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey, AWS_REGION: region } = process.env;
        const places = { cluster, bucket, accessKey, secretKey, region };
        written.push(await joinCluster(resolve(folder), places, (text) => void stderr.write(`rebox: ${text}\n`)));
      }
      for (const file of written) stdout.write(`${relative("", file)}\n`);
      for (const failure of failures) stderr.write(`rebox: ${failure}\n`);
      onStatus(failures.length > 0 ? ExitStatus.failure : ExitStatus.success);
    });
  const command = new Command("lab")
    .summary("make, tidy, back up and restore a folder for machines and analyses")
    .description("Works on a lab: a folder with machines.")
    .helpOption("-h, --help", "show this help")
    .addCommand(init);
  for (const each of createKeepingCommands(environment)) command.addCommand(each);
  return command;
}
