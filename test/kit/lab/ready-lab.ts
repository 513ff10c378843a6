import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { runRebox } from "../guests/guest-run";
import { getReadyFolder, shareFile } from "../guests/ready-folder";
import { consoleMachine, yamlOf } from "./analyze-run";
import { type TestLab, withTestLab } from "./lab-run";

/** Booting and freezing a whole system, on a busy host, also under the sanitizer. */
const LIMIT_MS = 900_000;

/** A machine of rebox that is to stand ready in labs of tests. */
export interface ReadyMachine {
  readonly name: string;
  /** Its settings, a line each. */
  readonly settings: readonly string[];
  /** Options of `rebox machine prepare` by which it is changed. */
  readonly changes?: readonly string[];
  /** Files, absolute, that the changes bring into it. */
  readonly files?: readonly string[];
}

/** The lab's own certificates come with the state that trusts them. */
const PARTS = (name: string) => [`golden/${name}/ready`, "network/ca"];

/**
 * Gives a lab the golden state `ready` of a machine, which is booted once for all tests: the first that needs it makes it.
 *
 * @param lab has a machine of that name, whose settings give QEMU the same arguments
 */
export async function giveReady(lab: TestLab, machine: ReadyMachine): Promise<void> {
  const folder = await getState(machine);
  for (const part of PARTS(machine.name)) share(join(folder, part), lab.path(part));
}

/** Gets the folder of a golden state that tests share. It is only read. */
export async function getGoldenFolder(machine: ReadyMachine): Promise<string> {
  return join(await getState(machine), `golden/${machine.name}/ready`);
}

function getState(machine: ReadyMachine): Promise<string> {
  const { name, settings, changes = [], files = [] } = machine;
  const named = settings.flatMap((line) => /^\w+: (\/.*)$/.exec(line)?.[1] ?? []);
  const bound = { name, facts: [settings, changes], files: [...named, ...files] };
  return getReadyFolder(bound, (making) => make(making, machine));
}

/**
 * Makes a lab whose machine `g` is the guest kit that stands ready at its prompt: no analysis waits for a boot.
 *
 * @param more further settings of the machine, a line each; they must leave QEMU's arguments as they are
 */
export function withReadyMachine(
  files: Readonly<Record<string, string>>,
  use: (lab: TestLab) => Promise<void>,
  more: readonly string[] = [],
): Promise<void> {
  const machines = { "conf/machineries/rebox.yaml": yamlOf({ g: consoleMachine(more) }) };
  return withTestLab({ ...files, ...machines }, async (lab) => {
    await giveReady(lab, { name: "g", settings: consoleMachine() });
    await use(lab);
  });
}

async function make(folder: string, { name, settings, changes = [] }: ReadyMachine): Promise<void> {
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ [name]: settings }) }, async (lab) => {
    const { status, stderr } = await runRebox(["machine", "prepare", name, "--lab", lab.folder, ...changes], LIMIT_MS);
    if (status !== 0) throw new Error(`the machine does not become ready: ${stderr}`);
    for (const part of PARTS(name)) share(lab.path(part), join(folder, part));
  });
}

/** Gives a folder's files, if there is one, a second place. */
function share(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) shareFile(join(from, name), join(to, name));
}
