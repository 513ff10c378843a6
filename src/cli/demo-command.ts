import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { getBuiltFolder } from "../config/folders";
import { UsageError } from "./errors";
import type { RunEnvironment } from "./run/run-environment";

const DEMO_MS = 20_000;

/** Returns QEMU's arguments for the machine of the demo: the guest kit, with work that never ends. */
function getQemuArgs(guestFolder: string): string[] {
  return [
    ...["-m", "256", "-display", "none", "-nic", "none", "-monitor", "none", "-serial", "null"],
    ...["-kernel", join(guestFolder, "vmlinuz"), "-initrd", join(guestFolder, "initramfs.cpio.gz")],
    ...["-append", "console=ttyS0 quiet no_timer_check panic=-1 rebox.run=busy"],
  ];
}

/**
 * Creates the command `rebox demo`, which `npm run demo` runs after set-up.
 *
 * @param environment the engine and the process
 * @param onStatus receives the exit status
 */
export function createDemoCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  return new Command("demo")
    .summary("boot the guest kit and show live what it does")
    .description(`Boots the guest kit for ${DEMO_MS / 1000} seconds with scripts/live_view.ts.`)
    .helpOption("-h, --help", "show this help")
    .action(async () => {
      const { projectFolder, stdout } = environment;
      const guestFolder = getBuiltFolder("guest", projectFolder);
      if (!existsSync(join(guestFolder, "vmlinuz"))) {
        throw new UsageError(`there is no guest in ${guestFolder}: run \`npm run guest\``);
      }
      const script = join(projectFolder, "scripts/live_view.ts");
      const qemuArgs = getQemuArgs(guestFolder);
      stdout.write(`A Linux guest boots inside this Node process, watched by ${script}.\n`);
      const { createRunPlan } = await import("./run/run-plan.js");
      const { RunSession } = await import("./run/run-session.js");
      const plan = createRunPlan({ script: [script], trust: true, timeout: DEMO_MS }, qemuArgs, projectFolder);
      onStatus(await new RunSession(plan, environment).run());
    });
}
