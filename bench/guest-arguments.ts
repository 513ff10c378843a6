import { join } from "node:path";
import { getProjectFolder } from "../src/config/folders";

/** The folder that holds everything that was built. */
export function getBuildFolder(): string {
  return join(getProjectFolder(), "build");
}

/**
 * Makes QEMU's arguments for the guest kit: the same for rebox and for plain QEMU.
 *
 * @param task one of native/guest/tasks
 * @param parameters of the task, such as loops: 1000
 */
export function getGuestArguments(task: string, parameters: Readonly<Record<string, number>> = {}): string[] {
  const guest = join(getBuildFolder(), "guest");
  const commandLine = [
    "console=ttyS0",
    "quiet",
    // On a busy host the kernel's test of its timer fails now and then, under plain QEMU as well, and it panics.
    "no_timer_check",
    // Ends QEMU (-no-reboot) instead of waiting for ever.
    "panic=-1",
    `rebox.run=${task}`,
    ...Object.entries(parameters).map(([name, value]) => `rebox.${name}=${value}`),
  ];
  return [
    ...["-accel", "tcg,thread=single", "-m", "256", "-nic", "none", "-display", "none", "-serial", "stdio"],
    ...["-monitor", "none", "-no-reboot"],
    ...["-kernel", join(guest, "vmlinuz"), "-initrd", join(guest, "initramfs.cpio.gz")],
    ...["-append", commandLine.join(" ")],
  ];
}
