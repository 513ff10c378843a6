import { existsSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../project";
import { yamlOf } from "./analyze-run";
import { type TestLab, withTestLab } from "./lab-run";
import { giveReady } from "./ready-lab";

/** Debian's name of a system that set-up makes: 13 for the tests, 12 for the soak too. */
export type DebianRelease = "trixie" | "bookworm";

/** The Debian 13 that set-up makes. */
export const DEBIAN = getDebianFolder("trixie");
/** Why tests with it are left out; false when they are not. */
export const NEEDS_DEBIAN = existsSync(join(DEBIAN, "disk.qcow2")) ? false : "set-up has made no Debian system";

/** Without `net.ifnames=0` nobody in the system cares for its card. */
const APPEND = "root=/dev/vda console=ttyS0 quiet no_timer_check net.ifnames=0";

/** Returns the folder of a system, which may not be there. */
export function getDebianFolder(release: DebianRelease): string {
  return join(PROJECT, "build/system", release);
}

function listSettings(release: DebianRelease): readonly string[] {
  const folder = getDebianFolder(release);
  return [
    ...["platform: linux", `qcow2_path: ${folder}/disk.qcow2`, `kernel: ${folder}/vmlinuz`, "guest_agent: yes"],
    ...[`initrd: ${folder}/initrd.img`, `append: ${APPEND}`, "memory: 1G", "network: simulated"],
  ];
}

const AGENT = join(PROJECT, "test/kit/lab/cape_agent.py");
const START_AGENT = "systemd-run --quiet --unit=cape-agent /usr/bin/python3 /root/cape_agent.py";

/**
 * Makes a lab whose machine `office` is a Debian that stands ready: it has booted in a simulated network, trusts the certificates
 * of one, and has a serial console, QEMU's guest agent and an agent that speaks CAPE's protocol. It is booted once for all tests.
 *
 * @param more further settings of the machine, a line each; they must leave it the machine that it is
 */
export async function withDebian(
  more: readonly string[],
  use: (lab: TestLab) => Promise<void>,
  release: DebianRelease = "trixie",
): Promise<void> {
  const settings = listSettings(release);
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ office: [...settings, ...more] }) }, async (lab) => {
    await giveReady(lab, {
      ...{ name: "office", settings, files: [AGENT] },
      changes: ["--trust", "--copy", `${AGENT}:/root/cape_agent.py`, "--command", START_AGENT],
    });
    await use(lab);
  });
}
