import { existsSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../project";
import { yamlOf } from "./analyze-run";
import { type TestLab, withTestLab } from "./lab-run";
import { giveReady } from "./ready-lab";

/** The Debian 13 that set-up makes. */
export const DEBIAN = join(PROJECT, "build/system/trixie");
/** Why tests with it are left out; false when they are not. */
export const NEEDS_DEBIAN = existsSync(join(DEBIAN, "disk.qcow2")) ? false : "set-up has made no Debian system";

/** Without `net.ifnames=0` nobody in the system cares for its card. */
const APPEND = "root=/dev/vda console=ttyS0 quiet no_timer_check net.ifnames=0";
const SETTINGS = [
  ...["platform: linux", `qcow2_path: ${DEBIAN}/disk.qcow2`, `kernel: ${DEBIAN}/vmlinuz`, "guest_agent: yes"],
  ...[`initrd: ${DEBIAN}/initrd.img`, `append: ${APPEND}`, "memory: 1G", "network: simulated"],
];

const AGENT = join(PROJECT, "test/kit/lab/cape_agent.py");
const START_AGENT = "systemd-run --quiet --unit=cape-agent /usr/bin/python3 /root/cape_agent.py";

/**
 * Makes a lab whose machine `office` is a Debian 13 that stands ready: it has booted in a simulated network, trusts the certificates
 * of one, and has a serial console, QEMU's guest agent and an agent that speaks CAPE's protocol. It is booted once for all tests.
 *
 * @param more further settings of the machine, a line each; they must leave it the machine that it is
 */
export async function withDebian(more: readonly string[], use: (lab: TestLab) => Promise<void>): Promise<void> {
  await withTestLab({ "conf/machineries/rebox.yaml": yamlOf({ office: [...SETTINGS, ...more] }) }, async (lab) => {
    await giveReady(lab, {
      ...{ name: "office", settings: SETTINGS, files: [AGENT] },
      changes: ["--trust", "--copy", `${AGENT}:/root/cape_agent.py`, "--command", START_AGENT],
    });
    await use(lab);
  });
}
