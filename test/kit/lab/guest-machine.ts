import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { EngineGuest } from "../../../src/lab/analysis/engine-guest";
import type { ReboxMachinery } from "../../../src/lab/machinery/drivers/rebox/rebox-machinery";
import type { MachineManager } from "../../../src/lab/machinery/manager/machine-manager";
import { defaultKit, type GuestKit } from "../guests/guest-kits";
import { getReadyFolder, shareFile } from "../guests/ready-folder";
import { makeSnapshot, yamlOf } from "./analyze-run";
import { type TestLab, withTestLab } from "./lab-run";

/** A machine of rebox, which runs a guest kit, and its guest. */
export interface GuestMachine {
  readonly lab: TestLab;
  readonly manager: MachineManager;
  readonly guest: EngineGuest;
  /** Waits until the guest has written something to its serial console, all of which is looked at. */
  untilConsole(pattern: RegExp): Promise<RegExpExecArray>;
  /** Has the guest's task "lines", the default one, carry out a line of the shell, and returns its output once it is done. */
  execute(line: string): Promise<string>;
}

/** What a guest machine is made of. */
export interface GuestMachineOptions {
  /** The guest kit's task; "lines" by default. */
  readonly task?: string;
  /** The one that set-up makes first, by default. */
  readonly kit?: GuestKit;
  /** Words of the kernel's command line besides. */
  readonly append?: string;
  /** QEMU's arguments besides. */
  readonly args?: string;
  /** Names of the machines; one of them by default. */
  readonly names?: readonly string[];
}

/** The line of the task "lines" when it waits. */
const WAITS = /rebox-guest: lines\.ready=1/;

/**
 * Starts machines of rebox in a lab of their own, and stops them when the test is done. Those with the task "lines" and no arguments of
 * QEMU besides continue where it waits: such a guest boots once for all tests.
 */
export async function withGuests(
  options: GuestMachineOptions,
  use: (machines: readonly GuestMachine[]) => Promise<void>,
): Promise<void> {
  const { task = "lines", append = "", args = "", names = ["g"], kit = defaultKit() } = options;
  const line = `console=ttyS0 quiet no_timer_check panic=-1 rebox.run=${task} ${append}`.trim();
  const settings = [
    ...["platform: linux", `kernel: ${kit.kernel}`, `initrd: ${kit.initramfs}`, `append: '${line}'`, "memory: 256M"],
    // Relative to the lab: a socket's path is short.
    `args: '-serial unix:%MACHINE_NAME%.lines,server=on,wait=off ${args}'`,
  ];
  // With a network of its own a machine that continues would announce itself there, which one that boots does not.
  const state = task === "lines" && args === "" ? await getWaitingState(kit, settings) : undefined;
  const machines = names.map((name) => [name, [...settings, ...(state ? [`snapshot_path: ${name}.state`] : [])]]);
  const files = { "conf/machineries/rebox.yaml": yamlOf(Object.fromEntries(machines) as Record<string, string[]>) };
  await withTestLab(files, async (lab) => {
    if (state) for (const name of names) shareFile(state, lab.path(`${name}.state`));
    const { manager, machineries } = await lab.open();
    const machinery = machineries.get("rebox") as ReboxMachinery;
    const guests = names.map((name): GuestMachine => {
      const guest = new EngineGuest(() => machinery.openShell(manager.machines.get(name)));
      const untilConsole = (pattern: RegExp) => lab.until(`state/${name}/console.log`, pattern);
      let count = 0;
      const execute = async (line: string) => {
        if (!state) await untilConsole(WAITS);
        const socket = connect(lab.path(`${name}.lines`));
        const before = lab.read(`state/${name}/console.log`).length;
        socket.write(`${line}\n`);
        await untilConsole(new RegExp(`rebox-guest: lines\\.done=${++count}\\r?\\n`));
        socket.destroy();
        const output = lab.read(`state/${name}/console.log`).slice(before).replaceAll("\r", "");
        return output.slice(0, output.lastIndexOf("rebox-guest: lines.done"));
      };
      return { lab, manager, guest, untilConsole, execute };
    });
    await Promise.all(
      names.map(async (name) => {
        const started = await manager.request("restoreStart", name);
        assert.equal(started.success, true, started.reason);
      }),
    );
    try {
      await use(guests);
    } finally {
      for (const { guest } of guests) guest.close();
    }
  });
}

/** Gets the state of a machine's memory where its guest waits for lines. */
async function getWaitingState({ kernel, initramfs }: GuestKit, settings: readonly string[]): Promise<string> {
  const bound = { name: "lines", facts: settings, files: [kernel, initramfs] };
  const machine = yamlOf({ g: [...settings, "snapshot_path: waiting"] });
  const folder = await getReadyFolder(bound, (making) =>
    withTestLab({ "conf/machineries/rebox.yaml": machine }, async (lab) => {
      await makeSnapshot(lab, "g", "waiting", WAITS);
      copyFileSync(lab.path("waiting"), join(making, "state"));
    }),
  );
  return join(folder, "state");
}

/** Starts one machine of rebox; see withGuests(). */
export function withGuest(
  options: Omit<GuestMachineOptions, "names">,
  use: (machine: GuestMachine) => Promise<void>,
): Promise<void> {
  return withGuests(options, ([machine]) => use(machine!));
}
