/** Tells now and then what the guest and its engine use; for the module of the same name. */
import { readFileSync } from "node:fs";
import { Engine, findGuest } from "rebox";
import { type GuestObserver } from "rebox/lab";

/** What is told each time. */
export interface UsageSample {
  /** Of one processor of the host, in percent; over all since the sample before. */
  readonly enginePercent: number;
  /** What the engine has in the host's memory, in bytes. */
  readonly engineBytes: number;
  /** The guest's memory that nobody uses, in bytes; undefined while its kernel is unknown. */
  readonly guestFreeBytes?: number | undefined;
  /** How many processes, kernel threads included. */
  readonly guestProcesses?: number | undefined;
  /** Bytes that the guest has read from and written to its disks since it was started. */
  readonly diskReadBytes: number;
  readonly diskWrittenBytes: number;
}

interface BlockStatistics {
  readonly stats: { readonly rd_bytes: number; readonly wr_bytes: number };
}

export function observe({ options, tell }: GuestObserver): () => object {
  let before = { cpu: process.cpuUsage(), atMs: performance.now() };
  const begin = before;
  const use = (since: typeof before): number => {
    const { user, system } = process.cpuUsage(since.cpu);
    return Math.round((user + system) / 10 / (performance.now() - since.atMs));
  };
  const sample = async (): Promise<void> => {
    const blocks = (await Engine.get().qmp("query-blockstats")) as readonly BlockStatistics[];
    const sum = (name: "rd_bytes" | "wr_bytes") => blocks.reduce((bytes, { stats }) => bytes + stats[name], 0);
    tell({
      enginePercent: use(before),
      engineBytes: process.memoryUsage.rss(),
      ...readGuest(),
      diskReadBytes: sum("rd_bytes"),
      diskWrittenBytes: sum("wr_bytes"),
    } satisfies UsageSample);
    before = { cpu: process.cpuUsage(), atMs: performance.now() };
  };
  let taking: Promise<void> | undefined;
  const timer = setInterval(() => {
    taking ??= sample()
      // A machine that ends answers no more.
      .catch(() => clearInterval(timer))
      .finally(() => (taking = undefined));
  }, Number(options.intervalMs));
  return () => ({ enginePercent: use(begin), enginePeakBytes: readPeak() });
}

function readGuest(): Pick<UsageSample, "guestFreeBytes" | "guestProcesses"> {
  try {
    const guest = findGuest();
    if (guest === undefined) return {};
    return { guestFreeBytes: readFreeBytes(guest), guestProcesses: guest.getProcessList().length };
  } catch {
    // Its lists are being changed, or damaged: the next sample may have more luck.
    return {};
  }
}

/** Reads the number of free pages: vm_zone_stat[NR_FREE_PAGES], the first of them (mm/vmstat.c, include/linux/mmzone.h). */
function readFreeBytes(guest: NonNullable<ReturnType<typeof findGuest>>): number | undefined {
  const { kernel } = guest;
  const address = kernel.findSymbol("vm_zone_stat");
  if (address === undefined) return undefined;
  const size = kernel.memory.pointerSize;
  const bytes = kernel.memory.read(address, size);
  const pages = size === 8 ? Number(bytes.readBigInt64LE()) : bytes.readInt32LE();
  return pages < 0 ? 0 : pages * 4096;
}

/** Reads the most that this process ever had in memory, in bytes (VmHWM of proc(5)). */
function readPeak(): number {
  const [, kib = "0"] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kib) * 1024;
}
