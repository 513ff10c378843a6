import { chooseShell, type WholeTerminal } from "../ui/choose-shell";
import type { RunEnvironment } from "./run-environment";
import type { RunOptions, RunPlan } from "./run-plan";

/** The words of a command line, for the process behind the UI. */
export interface RunWords {
  /** rebox's own arguments, the command first. */
  readonly args: readonly string[];
  /** The words behind "--"; undefined when there is no "--". */
  readonly qemuArgs: readonly string[] | undefined;
}

/**
 * Runs a guest in this process, or in one of its own behind the UI.
 *
 * @returns the exit status
 * @throws UsageError when --ui is asked for and cannot be
 */
export async function startRun(
  options: RunOptions,
  plan: RunPlan,
  environment: RunEnvironment,
  { args, qemuArgs }: RunWords,
): Promise<number> {
  const terminal = findTerminal(options, plan, environment);
  if (terminal) {
    const { runBehindUi } = await import("./run-behind-ui.js");
    return runBehindUi({ args, qemuArgs, control: options.control }, terminal, environment.stderr);
  }
  // The process that shows the guest is gone, for any reason.
  if (options.behindUi !== undefined) process.once("disconnect", () => process.kill(process.pid, "SIGHUP"));
  const { RunSession } = await import("./run-session.js");
  return new RunSession(plan, environment).run();
}

/** Finds the terminal for the UI, when one is wanted and possible. @throws UsageError when --ui cannot be */
function findTerminal(options: RunOptions, plan: RunPlan, { stdout }: RunEnvironment): WholeTerminal | undefined {
  if (options.behindUi !== undefined || !(options.ui === true || options.shell === true)) return undefined;
  const usesStdio = plan.qemuArgs.some((argument) => /(^|[:,=])stdio($|,)/.test(argument));
  const stdio = "QEMU's arguments use stdio, and the UI has the terminal: its console pane is the first serial line";
  const json = "--json - needs standard output, which the UI has: write to a file";
  return chooseShell(
    options,
    () => process.stdin,
    stdout,
    usesStdio ? stdio : plan.jsonFile === "-" ? json : undefined,
  );
}
