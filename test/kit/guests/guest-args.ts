import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultKit, type GuestKit } from "./guest-kits";
import { getReadyGuest, type SplitArgs, splitForClone } from "./ready-guest";

/** A machine with the guest kit, and what it is to do. */
export interface GuestOptions {
  /** The guest kit's task, native/guest/tasks; null boots what qemuArgs say instead of the kit. */
  readonly task: string | null;
  /** The guest is booted, because that is what the test looks at; others are clones of one that stands ready. */
  readonly boots?: boolean;
  /** Parameters of the task, without "rebox.". */
  readonly parameters?: Record<string, string | number>;
  readonly qemuArgs?: readonly string[];
  readonly kernelArgs?: string;
  /** Which kernel; without it the default one. */
  readonly kit?: GuestKit;
}

/**
 * Chooses QEMU's arguments for a guest: a clone where its machine can stand ready and its boot is not looked at, else one that boots.
 *
 * @param folder where the console's `serial.txt` lies or comes to lie
 */
export async function getMachineArgs(folder: string, options: GuestOptions): Promise<string[]> {
  const { task, parameters, kernelArgs, kit, qemuArgs = [] } = options;
  const split = task === null || options.boots ? undefined : splitForClone(qemuArgs);
  if (split) return getCloneArgs(folder, options, split);
  const args = guestArgs(join(folder, "serial.txt"), task, parameters, kernelArgs, kit);
  // A serial port of the test's own is the first one.
  return task === null ? [...qemuArgs, ...args] : [...args, ...qemuArgs];
}

/** QEMU's arguments for the guest kit. */
export function guestArgs(
  serial: string,
  task: GuestOptions["task"],
  parameters: GuestOptions["parameters"],
  kernelArgs = "",
  kit = defaultKit(),
): string[] {
  if (task === null) return [...MACHINE, "-serial", `file:${serial}`];
  const words = `${getTaskWords(task, parameters)} ${kernelArgs}`;
  return [...MACHINE, "-serial", `file:${serial}`, ...getKernelArgs(kit, words)];
}

const MACHINE = ["-m", "256", "-display", "none", "-nic", "none", "-no-reboot", "-monitor", "none"];

function getTaskWords(task: string, parameters: GuestOptions["parameters"] = {}): string {
  return [`rebox.run=${task}`, ...Object.entries(parameters).map(([key, value]) => `rebox.${key}=${value}`)].join(" ");
}

function getKernelArgs(kit: GuestKit, words: string): string[] {
  // On a busy host the kernel may find its timer too late and give up: it need not look.
  const append = `console=ttyS0 quiet no_timer_check panic=-1 ${words}`;
  return ["-kernel", kit.kernel, "-initrd", kit.initramfs, "-append", append];
}

/** QEMU's arguments for a clone of the guest kit that begins with the task at once. */
async function getCloneArgs(folder: string, options: GuestOptions, split: SplitArgs): Promise<string[]> {
  const { kit = defaultKit(), kernelArgs = "", parameters } = options;
  const { shared, own, disks } = split;
  const machine = [...MACHINE, ...shared, ...getKernelArgs(kit, `rebox.run=@ ${kernelArgs}`)];
  const { serial, cloneArgs } = await getReadyGuest(kit, machine, disks);
  const [console, words] = [join(folder, "serial.txt"), join(folder, "words.txt")];
  writeFileSync(console, serial);
  // The port takes the first bytes while it has not got the state yet: they are lost.
  writeFileSync(words, `${"\n".repeat(64)}${getTaskWords(options.task!, parameters)}\n`);
  const port = `file,id=console,path=${console},append=on,input-path=${words}`;
  return [...machine, ...own, ...cloneArgs, "-chardev", port, "-serial", "chardev:console"];
}
