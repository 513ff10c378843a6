import { Command, InvalidArgumentError } from "commander";
import { resolve } from "node:path";
import type { Lab } from "../../lab/lab";
import {
  DEFAULT_GOLDEN_NAME,
  getGoldenState,
  GoldenState,
  listGoldenStates,
  removeGoldenState,
} from "../../lab/machinery/golden/golden-state";
import { ExitStatus } from "../exit-status";
import type { RunEnvironment } from "../run/run-environment";
import { createPublishCommands, type LabUse } from "./publish-commands";
import type { GuestCopy } from "../../lab/preparing/change-guest";

/** How long a system may take to become ready, in seconds. */
const READY_LIMIT_S = 600;

interface PrepareOptions {
  readonly lab?: string;
  readonly as: string;
  readonly from?: string;
  readonly replace?: boolean;
  readonly copy: readonly GuestCopy[];
  readonly script: readonly string[];
  readonly command: readonly string[];
  readonly trust?: boolean;
  readonly timeout: number;
}

/**
 * Creates `rebox machine prepare` and `rebox machine golden`.
 *
 * @param define makes a command with the option --lab
 * @param use opens the lab for one command
 */
export function createGoldenCommands(
  define: (name: string, summary: string, description?: string) => Command,
  use: (options: { readonly lab?: string }, run: LabUse) => Promise<void>,
  { stdout, stderr }: RunEnvironment,
): Command[] {
  const prepare = define(
    "prepare",
    "boot a machine once, and freeze it when it is ready",
    "Boots a machine, waits until its system is ready, changes it as the options say, and freezes RAM, devices and disk " +
      "as a golden state. Starts and analyses of the machine, and of its clones, begin there from then on.",
  )
    .argument("<name>")
    .option("--as <state>", "the golden state's name", DEFAULT_GOLDEN_NAME)
    .option("--from <state>", "change this golden state in place of a fresh boot")
    .option("--replace", "make it anew when there is one of this name")
    .option("--copy <from:to>", "copy a file or folder of this host into the guest; may be repeated", collectCopies, [])
    .option("--script <file>", "run a shell script of this host in the guest; may be repeated", collect, [])
    .option("--command <text>", "run a command in the guest, after the scripts; may be repeated", collect, [])
    .option("--trust", "have the system trust the certificates of simulated networks; for Debian and its like")
    .option("--timeout <seconds>", "how long the system may take to become ready", parseSeconds, READY_LIMIT_S)
    .action((name: string, options: PrepareOptions) =>
      use(options, async (lab, signal) => {
        lab.checkHasMachines();
        const { prepareMachine } = await import("../../lab/preparing/prepare-machine.js");
        const trust = options.trust === true ? await trustAuthority(lab.folder) : { copies: [], commands: [] };
        let last = "";
        const state = await prepareMachine(
          lab,
          {
            ...{
              machine: name,
              name: options.as,
              from: options.from,
              replaces: options.replace === true,
              timeoutS: options.timeout,
            },
            ...{
              copies: [...trust.copies, ...options.copy],
              scripts: options.script.map((path) => resolve(path)),
              commands: [...trust.commands, ...options.command],
            },
            onProgress: (text) => {
              if (text !== last) stderr.write(`${name}: ${text}\n`);
              last = text;
            },
          },
          signal,
        );
        const text =
          state instanceof GoldenState
            ? `the golden state ${state.name}: ${describeSize(state)}`
            : `the snapshot ${state.name}, which ${state.keeper} keeps`;
        stdout.write(`${name} has ${text}\n`);
        return ExitStatus.success;
      }),
    );

  const list = define("list", "list the golden states of all machines, or of one")
    .argument("[name]")
    .option("--json", "print one JSON array")
    .action((name: string | undefined, options: { lab?: string; json?: boolean }) =>
      use(options, async (lab) => {
        const names = name === undefined ? listBases(lab) : [lab.manager.machines.get(name).name];
        const found = names.map((each) => listGoldenStates(lab.folder, each));
        for (const problem of found.flatMap(({ problems }) => problems)) stderr.write(`rebox: ${problem}\n`);
        const states = found.flatMap((each) => each.states);
        if (options.json)
          stdout.write(
            `${JSON.stringify(
              states.map(({ manifest }) => manifest),
              null,
              2,
            )}\n`,
          );
        else for (const state of states) stdout.write(`${describeState(state)}\n`);
        return ExitStatus.success;
      }),
    );
  const show = define("show", "show how a golden state was made, and whether it is whole")
    .argument("<name>")
    .argument("[state]", "its name", DEFAULT_GOLDEN_NAME)
    .action((name: string, stateName: string, options: { lab?: string }) =>
      use(options, async (lab) => {
        const state = getGoldenState(lab.folder, lab.manager.machines.get(name).name, stateName);
        const { origin, changes } = state.manifest;
        stdout.write(`${describeState(state)}\n`);
        stdout.write(`made by ${origin.qemu}\narguments: ${origin.args.join(" ")}\n`);
        for (const { path } of origin.inputs) stdout.write(`from ${path}\n`);
        for (const change of changes) stdout.write(`changed by ${change}\n`);
        const damage = await state.verify();
        for (const problem of damage) stderr.write(`rebox: ${problem}\n`);
        if (damage.length === 0) stdout.write("its files are whole\n");
        return damage.length === 0 ? ExitStatus.success : ExitStatus.failure;
      }),
    );
  const remove = define("remove", "remove a golden state; machines that run from it continue")
    .argument("<name>")
    .argument("<state>", "its name")
    .action((name: string, stateName: string, options: { lab?: string }) =>
      use(options, async (lab) => {
        removeGoldenState(getGoldenState(lab.folder, lab.manager.machines.get(name).name, stateName));
        stdout.write(`removed the golden state ${stateName} of ${name}\n`);
        return ExitStatus.success;
      }),
    );
  const golden = new Command("golden")
    .summary("list, show, remove and publish golden states")
    .description("Works on the golden states of a lab's machines, which rebox machine prepare makes.")
    .helpOption("-h, --help", "show this help");
  for (const each of [list, show, remove, ...createPublishCommands(define, use, { stdout, stderr })])
    golden.addCommand(each);
  return [prepare, golden];
}

function listBases(lab: Lab): string[] {
  return [...lab.manager.machines].filter(({ facts }) => facts.cloneOf === undefined).map(({ name }) => name);
}

function describeState(state: GoldenState): string {
  const { machine, name, createdMs } = state.manifest;
  return `${machine} ${name}: ${new Date(createdMs).toISOString()}, ${describeSize(state)}`;
}

function describeSize({ manifest }: GoldenState): string {
  const mib = (bytes: number) => `${Math.round(bytes / (1 << 20))} MiB`;
  const disk = manifest.files.find(({ path }) => path === "disk.qcow2");
  return `RAM of ${mib(manifest.ramSize)}${disk === undefined ? "" : `, ${mib(disk.size)} of changes to the disk`}`;
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

function collectCopies(value: string, previous: readonly GuestCopy[]): GuestCopy[] {
  const [, from, to] = /^(.+):(\/.*)$/s.exec(value) ?? [];
  if (from === undefined || to === undefined) {
    throw new InvalidArgumentError("It must be FROM:TO, where TO is an absolute path in the guest.");
  }
  return [...previous, { from: resolve(from), to }];
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!Number.isFinite(seconds) || seconds <= 0) throw new InvalidArgumentError("It must be a number of seconds.");
  return seconds;
}

/** Returns the changes by which a Debian trusts a lab's certificate authority: update-ca-certificates(8). */
async function trustAuthority(labFolder: string): Promise<{ copies: GuestCopy[]; commands: string[] }> {
  const { CertificateAuthority } = await import("../../lab/network/certificate-authority.js");
  const { certificate } = await CertificateAuthority.open(labFolder);
  const to = "/usr/local/share/ca-certificates/rebox-lab.crt";
  return { copies: [{ from: certificate, to }], commands: ["update-ca-certificates"] };
}
