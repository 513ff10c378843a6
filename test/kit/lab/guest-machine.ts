import assert from "node:assert/strict";
import { connect } from "node:net";
import { EngineGuest } from "../../../src/lab/analysis/engine-guest";
import type { ReboxMachinery } from "../../../src/lab/machinery/drivers/rebox/rebox-machinery";
import type { MachineManager } from "../../../src/lab/machinery/manager/machine-manager";
import { defaultKit, type GuestKit } from "../guests/guest-kits";
import { type TestLab, withTestLab } from "./lab-run";

/** A machine of rebox, which runs a guest kit, and its guest. */
export interface GuestMachine {
  readonly lab: TestLab;
  readonly manager: MachineManager;
  readonly guest: EngineGuest;
  /** Waits until the guest has written something to its serial console, all of which is looked at. */
  untilConsole(pattern: RegExp): Promise<RegExpExecArray>;
  /** Has the guest's task "lines" carry out a line of the shell, and returns its output once it is done. */
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

/** Starts machines of rebox in a lab of their own, and stops them when the test is done. */
export async function withGuests(
  { task = "lines", append = "", args = "", names = ["g"], kit = defaultKit() }: GuestMachineOptions,
  use: (machines: readonly GuestMachine[]) => Promise<void>,
): Promise<void> {
  const { kernel, initramfs } = kit;
  const line = `console=ttyS0 quiet no_timer_check panic=-1 rebox.run=${task} ${append}`.trim();
  const settings = [
    ...["platform: linux", `kernel: ${kernel}`, `initrd: ${initramfs}`, `append: '${line}'`, "memory: 256M"],
    // Relative to the lab: a socket's path is short.
    `args: '-serial unix:%MACHINE_NAME%.lines,server=on,wait=off ${args}'`,
  ].map((setting) => `    ${setting}`);
  const machines = names.map((name) => `  ${name}:\n${settings.join("\n")}\n`);
  await withTestLab({ "conf/machineries/rebox.yaml": `machines:\n${machines.join("")}` }, async (lab) => {
    const { manager, machineries } = await lab.open();
    const machinery = machineries.get("rebox") as ReboxMachinery;
    const guests = names.map((name): GuestMachine => {
      const guest = new EngineGuest(() => machinery.openShell(manager.machines.get(name)));
      const untilConsole = (pattern: RegExp) => lab.until(`state/${name}/console.log`, pattern);
      let count = 0;
      const execute = async (line: string) => {
        await untilConsole(/rebox-guest: lines\.ready=1/);
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

/** Starts one machine of rebox; see withGuests(). */
export function withGuest(
  options: Omit<GuestMachineOptions, "names">,
  use: (machine: GuestMachine) => Promise<void>,
): Promise<void> {
  return withGuests(options, ([machine]) => use(machine!));
}
