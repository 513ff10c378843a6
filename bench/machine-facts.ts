import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";
import { getBuildFolder } from "./guest-arguments";

/** Where and with what a result was measured. */
export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  /** In MiB. */
  readonly memory: number;
  /** Of the host. */
  readonly kernel: string;
  readonly node: string;
  readonly qemu: string;
  /** Of the guest. */
  readonly guestKernel: string;
  /** The averages over 1, 5 and 15 minutes when the measuring began: above 0 says that others used the machine. */
  readonly load: readonly number[];
  /** When the measuring began, ISO 8601. */
  readonly date: string;
}

function readInfo(path: string): Record<string, string> {
  return JSON.parse(readFileSync(join(getBuildFolder(), path), "utf8")) as Record<string, string>;
}

/**
 * Describes this machine and what was built on it.
 *
 * @throws Error when QEMU or the guest has not been built
 */
export function readMachineFacts(): MachineFacts {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memory: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: process.version,
    qemu: readInfo("qemu/info.json")["version"] ?? "unknown",
    guestKernel: readInfo("guest/guest.json")["release"] ?? "unknown",
    load: loadavg().map((average) => Math.round(average * 100) / 100),
    date: new Date().toISOString(),
  };
}
