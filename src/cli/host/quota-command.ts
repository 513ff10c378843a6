import { Command, InvalidArgumentError } from "commander";
import { EVERYBODY } from "../../lab/cluster/fair-shares";
import { createLabOption } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { renderTable } from "../text-table";
import { withCluster } from "./with-cluster";

/** The value that takes a quota away. */
const NONE = "none";

/** Creates the command `rebox host quota`. */
export function createQuotaCommand(environment: RunEnvironment): Command {
  return new Command("quota")
    .summary("list or set how many analyses of somebody may run at once")
    .description(
      "Lists the quotas of the cluster, or sets one: how many analyses of a submitter may run at once. Submitters are users of " +
        `servers, and labs, for what their rebox analyze hands in. "${EVERYBODY}" is everybody without a quota of their own.`,
    )
    .helpOption("-h, --help", "show this help")
    .argument("[submitter]", `a user, a lab, or "${EVERYBODY}"`)
    .argument("[count]", `from 0; "${NONE}" takes the quota away`, readCount)
    .addOption(createLabOption())
    .option("--json", "print JSON")
    .action(
      async (
        submitter: string | undefined,
        count: number | typeof NONE | undefined,
        options: { lab?: string; json?: boolean },
      ) => {
        // prettier-ignore
        const quotas = await withCluster(options, environment, async ({ queue }) => {
        if (submitter !== undefined && count !== undefined)
          await queue.setQuota({ submitter, mostRunning: count === NONE ? undefined : count });
        return (await queue.listQuotas()).filter((quota) => submitter === undefined || quota.submitter === submitter);
      });
        const rows = quotas.map((quota) => [quota.submitter, String(quota.mostRunning)]);
        environment.stdout.write(options.json === true ? `${JSON.stringify(quotas)}\n` : renderTable([["submitter", "most at once"], ...rows])); // prettier-ignore
      },
    );
}

function readCount(text: string): number | typeof NONE {
  if (text === NONE) return NONE;
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError(`It must be a number from 0, or "${NONE}".`);
  return Number(text);
}
