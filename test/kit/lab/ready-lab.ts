import { createHash } from "node:crypto";
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { takeLock } from "../../../src/lab/process-lock";
import { runRebox } from "../guests/guest-run";
import { PROJECT } from "../project";
import { yamlOf } from "./analyze-run";
import { type TestLab, withTestLab } from "./lab-run";

/** Below it lies a folder for each machine that stands ready; another build of QEMU, or other settings, make another. */
const FOLDER = join(PROJECT, "build/guest/ready");
/** Booting and freezing a whole system, on a busy host, also under the sanitizer; and waiting for another test that does so. */
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
  const folder = join(FOLDER, `${machine.name}-${getKey(machine)}`);
  if (!existsSync(folder)) {
    mkdirSync(FOLDER, { recursive: true });
    const owner = "a test that makes a machine ready";
    const giveBack = await takeLock(`${folder}.lock`, { timeoutMs: LIMIT_MS, owner });
    try {
      if (!existsSync(folder)) await make(folder, machine);
    } finally {
      await giveBack();
    }
  }
  for (const part of PARTS(machine.name)) share(join(folder, part), lab.path(part));
}

/** Names everything that the state is bound to. */
function getKey({ settings, changes = [], files = [] }: ReadyMachine): string {
  const build = process.env.REBOX_BUILD === "asan" ? "-asan" : "";
  const library = realpathSync(join(PROJECT, `build/qemu${build}/libqemu-system-x86_64.so`));
  const named = settings.flatMap((line) => /^\w+: (\/.*)$/.exec(line)?.[1] ?? []);
  const hash = createHash("sha256").update(JSON.stringify([settings, changes]));
  for (const file of [library, ...named, ...files]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(JSON.stringify([file, size, mtimeMs]));
  }
  return hash.digest("hex").slice(0, 16);
}

async function make(folder: string, { name, settings, changes = [] }: ReadyMachine): Promise<void> {
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ [name]: settings }) }, async (lab) => {
    const { status, stderr } = await runRebox(["machine", "prepare", name, "--lab", lab.folder, ...changes], LIMIT_MS);
    if (status !== 0) throw new Error(`the machine does not become ready: ${stderr}`);
    // They become what tests find all at once.
    const making = mkdtempSync(`${folder}.making-`);
    for (const part of PARTS(name)) share(lab.path(part), join(making, part));
    renameSync(making, folder);
  });
}

/** Gives a folder's files, if there is one, a second place. Nobody writes to them: they are read or removed. */
function share(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    try {
      linkSync(source, target);
    } catch {
      // On another file system. A file that has its time need not be read to be known as the same.
      copyFileSync(source, target, constants.COPYFILE_FICLONE);
      const { atime, mtime } = statSync(source);
      utimesSync(target, atime, mtime);
    }
  }
}
