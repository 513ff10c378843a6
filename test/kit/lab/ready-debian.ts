import { createHash } from "node:crypto";
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
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

/** The Debian 13 that set-up makes. */
export const DEBIAN = join(PROJECT, "build/system/trixie");
/** Why tests with it are left out; false when they are not. */
export const NEEDS_DEBIAN = existsSync(join(DEBIAN, "disk.qcow2")) ? false : "set-up has made no Debian system";

/** The machine, beside its disk; without `net.ifnames=0` nobody in it cares for its card. */
export const DEBIAN_APPEND = "root=/dev/vda console=ttyS0 quiet no_timer_check net.ifnames=0";
const MACHINE = [
  ...["platform: linux", `qcow2_path: ${DEBIAN}/disk.qcow2`, `kernel: ${DEBIAN}/vmlinuz`, "guest_agent: yes"],
  ...[`initrd: ${DEBIAN}/initrd.img`, `append: ${DEBIAN_APPEND}`, "memory: 1G"],
];

/** Below it lies a folder for each build of QEMU and system, beside the guests of other tests that stand ready. */
const FOLDER = join(PROJECT, "build/guest/ready");
const AGENT = join(PROJECT, "test/kit/lab/cape_agent.py");
const LIMIT_MS = 900_000;

/**
 * Makes a lab whose machine `office` is a Debian 13 that stands ready: it has booted in a simulated network, trusts the certificates
 * of one, and has a serial console, QEMU's guest agent and an agent that speaks CAPE's protocol. It is booted once for all tests.
 *
 * @param more further settings of the machine, a line each; they must leave it the machine that it is
 * @param files further files of the lab
 */
export async function withDebian(
  more: readonly string[],
  use: (lab: TestLab) => Promise<void>,
  files: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ready = await getReady();
  const settings = [...MACHINE, "network: simulated", ...more];
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ office: settings }), ...files }, async (lab) => {
    for (const part of ["golden/office/ready", "network/ca"]) share(join(ready, part), lab.path(part));
    await use(lab);
  });
}

async function getReady(): Promise<string> {
  const folder = join(FOLDER, `debian-${getKey()}`);
  if (existsSync(folder)) return folder;
  mkdirSync(FOLDER, { recursive: true });
  const giveBack = await takeLock(`${folder}.lock`, { timeoutMs: LIMIT_MS, owner: "a test that makes a Debian ready" });
  try {
    if (!existsSync(folder)) await make(folder);
  } finally {
    await giveBack();
  }
  return folder;
}

/** Names everything that the state is bound to. */
function getKey(): string {
  const build = process.env.REBOX_BUILD === "asan" ? "-asan" : "";
  const library = realpathSync(join(PROJECT, `build/qemu${build}/libqemu-system-x86_64.so`));
  const hash = createHash("sha256").update(JSON.stringify(MACHINE)).update(readFileSync(AGENT));
  for (const file of [library, ...["disk.qcow2", "vmlinuz", "initrd.img"].map((name) => join(DEBIAN, name))]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(JSON.stringify([file, size, mtimeMs]));
  }
  return hash.digest("hex").slice(0, 16);
}

async function make(folder: string): Promise<void> {
  const settings = [...MACHINE, "network: simulated"];
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ office: settings }) }, async (lab) => {
    const start = "systemd-run --quiet --unit=cape-agent /usr/bin/python3 /root/cape_agent.py";
    const changes = ["--trust", "--copy", `${AGENT}:/root/cape_agent.py`, "--command", start];
    const { status, stderr } = await runRebox(["machine", "prepare", "office", "--lab", lab.folder, ...changes], LIMIT_MS); // prettier-ignore
    if (status !== 0) throw new Error(`the Debian does not become ready: ${stderr}`);
    // They become what tests find all at once.
    const making = mkdtempSync(`${folder}.making-`);
    for (const part of ["golden/office/ready", "network/ca"]) share(lab.path(part), join(making, part));
    renameSync(making, folder);
  });
}

/** Gives a folder's files a second place. Nobody writes to them: they are read or removed. */
function share(from: string, to: string): void {
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
