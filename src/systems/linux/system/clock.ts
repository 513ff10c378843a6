import { AddressError, KernelDataError, MissingSymbolError } from "../../errors";
import type { GuestClock } from "../../guest-system";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { StructCursor } from "../../structs/struct-cursor";

const SECOND_NS = 1_000_000_000n;
/** The sequence counter before the timekeeper, where the struct has no name: up to the alignment of 64-bit numbers, 4 on i386. */
const ALIGNED_COUNTER = { 64: 8n, 32: 4n } as const;

/**
 * Reads the kernel's clock. It is as old as the kernel's last tick: up to a few milliseconds, and longer while a guest
 * without anything to do has its ticks stopped.
 *
 * @throws MissingSymbolError, MissingTypeError when this kernel keeps it differently
 * @throws KernelDataError when it cannot be read
 */
export function readClock(kernel: LinuxKernel): GuestClock {
  const keeper = findTimekeeper(kernel);
  try {
    const shift = keeper.value("tkr_mono.shift");
    if (shift < 0n || shift > 63n) throw new KernelDataError("the timekeeper", keeper.address, `its shift is ${shift}`);
    const realTimeNs = keeper.value("xtime_sec") * SECOND_NS + (keeper.value("tkr_mono.xtime_nsec") >> shift);
    // Real time is monotonic time less this, and boot time is monotonic time plus what was slept.
    const toMonotonic =
      keeper.value("wall_to_monotonic.tv_sec") * SECOND_NS + keeper.value("wall_to_monotonic.tv_nsec");
    return { realTimeNs, bootTimeNs: -toMonotonic - keeper.value("offs_boot") };
  } catch (error) {
    throw KernelDataError.from(error, "the timekeeper", keeper.address);
  }
}

/** kernel/time/timekeeping.c: tk_core, since 6.17 the first of timekeeper_data; a struct tk_data since 6.13. */
function findTimekeeper(kernel: LinuxKernel): StructCursor {
  const core = kernel.findSymbol("tk_core", "timekeeper_data");
  if (core === undefined) throw new MissingSymbolError("tk_core or timekeeper_data");
  const named = kernel.findMember("tk_data", "timekeeper");
  const keeper = kernel.at("timekeeper", core + (named ? BigInt(named.offset) : ALIGNED_COUNTER[kernel.bits]));
  let clock: string | undefined;
  try {
    clock = keeper.follow("tkr_mono.clock")?.text(32, "name");
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
  }
  // Every timekeeper has a clock with a name, such as "tsc".
  if (!clock || !/^[\w-]+$/.test(clock)) {
    throw new KernelDataError("the timekeeper", keeper.address, "it has no clock with a name");
  }
  return keeper;
}
