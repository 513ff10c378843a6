import type { Command } from "commander";
import type { Lab } from "../../lab/lab";
import { DEFAULT_GOLDEN_NAME, getGoldenState } from "../../lab/machinery/golden/golden-state";
import { UsageError } from "../errors";
import { ExitStatus } from "../exit-status";
import { withCluster } from "../host/with-cluster";
import type { RunEnvironment } from "../run/run-environment";

const MIB = 1 << 20;
/** Between two lines of progress, in bytes. */
const STEP = 256 * MIB;

/** Something that a command does with a lab. @returns the exit status */
export type LabUse = (lab: Lab, signal: AbortSignal) => Promise<number>;

/** Creates `rebox machine golden publish` and `withdraw`. */
export function createPublishCommands(
  define: (name: string, summary: string, description?: string) => Command,
  use: (options: { readonly lab?: string }, run: LabUse) => Promise<void>,
  { stdout, stderr }: Pick<RunEnvironment, "stdout" | "stderr">,
): Command[] {
  const publish = define(
    "publish",
    "give a golden state to the hosts of the lab's cluster",
    "Puts a golden state into the store of the lab's cluster. Hosts that have a machine of this name, with the same QEMU, arguments and disk, " +
      "fetch it before they take analyses for it.",
  )
    .argument("<name>")
    .argument("[state]", "its name", DEFAULT_GOLDEN_NAME)
    .action((name: string, stateName: string, options: { lab?: string }) =>
      use(options, async (lab, signal) => {
        const { publishGolden } = await import("../../server/hosts/publish-golden.js");
        const state = getGoldenState(lab.folder, lab.manager.machines.get(name).name, stateName);
        let told = 0;
        const sent = await withCluster(options, { stderr }, (cluster) =>
          publishGolden(
            cluster,
            state,
            (done, all) => {
              if (done - told < STEP && done < all) return;
              told = done;
              stderr.write(`${name}: ${toMiB(done)} of ${toMiB(all)} MiB\n`);
            },
            signal,
          ),
        );
        stdout.write(`published the golden state ${stateName} of ${name}: ${toMiB(sent)} MiB were new to the store\n`);
        return ExitStatus.success;
      }),
    );
  const withdraw = define("withdraw", "take a golden state from the cluster; hosts that have it keep it")
    .argument("<name>")
    .argument("<state>", "its name")
    .action((name: string, stateName: string, options: { lab?: string }) =>
      use(options, async () => {
        const isGone = await withCluster(options, { stderr }, ({ golden }) => golden.withdraw(name, stateName));
        if (!isGone) throw new UsageError(`the cluster has no golden state ${stateName} of ${name}`);
        stdout.write(`withdrew the golden state ${stateName} of ${name}\n`);
        return ExitStatus.success;
      }),
    );
  return [publish, withdraw];
}

function toMiB(bytes: number): number {
  return Math.round(bytes / MIB);
}
