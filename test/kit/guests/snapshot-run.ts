import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type GuestRun, runGuest, scriptPrelude } from "./guest-run";
import { PROJECT } from "../project";

const QEMU_IMG = join(PROJECT, "build/qemu/qemu-img");

/** Makes an empty disk of 64 MiB, and returns its path. */
export function createDisk(folder: string, format: "qcow2" | "raw"): string {
  const disk = join(folder, `disk.${format}`);
  // A program that is no sanitizer build must not be given the sanitizer that these tests may run with.
  execFileSync(QEMU_IMG, ["create", "-q", "-f", format, disk, "64M"], { env: { ...process.env, LD_PRELOAD: "" } });
  return disk;
}

/** Makes a disk that holds snapshots, and returns QEMU's arguments for it. */
export function createSnapshotDisk(folder: string): string[] {
  return ["-drive", `file=${createDisk(folder, "qcow2")},if=virtio`];
}

/**
 * Runs statements of a script on a guest with such a disk, once the guest has filled a page with a pattern; then the machine ends. They
 * have everything of "rebox", `cm`, `print`, `sleep`, and of the page `value()`, its first 8 bytes, and `change()`, which
 * overwrites them.
 */
export function runWithSnapshots(
  folder: string,
  statements: string,
  qemuArgs = createSnapshotDisk(folder),
): Promise<GuestRun> {
  return runGuest({
    task: "pattern",
    qemuArgs,
    timeoutMs: 180_000,
    script: (serial) => `
      import { ALL_PROCESSES, CallbackManager, Engine, loadVm, readPa, saveVm, startMonitoringProcess, writePa } from "rebox";
      ${scriptPrelude(serial)}
      const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void (async () => {
          const physical = BigInt((await untilTruth("pattern.done")).get("pattern.physical")!);
          const value = () => "0x" + readPa(physical, 8).readBigUInt64LE().toString(16);
          const change = () => writePa(physical, Buffer.from("changed!"));
          ${statements}
          await Engine.get().quit();
        })();
      }
      export const clean = (): void => cm.clean();
    `,
  });
}

/** What the page's `value()` is after `change()`. */
export const CHANGED = `0x${Buffer.from("changed!").readBigUInt64LE().toString(16)}`;
