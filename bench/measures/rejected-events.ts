import { getGuestArguments } from "../guest-arguments";
import { startInside, startPlainQemu } from "../guest-process";
import type { RejectedEventsReport, RejectingVariant } from "../inside/rejected-events";
import type { Measure } from "../measure";
import type { MeasuredProcess } from "../measured-process";
import { getReferencePlugin } from "../reference-plugin";
import { SampleCollection } from "../sample-collection";

/** About a second without events. */
const WORK = { loops: 100_000, forks: 1 };

interface Cost {
  readonly cpuMs: number;
  readonly rejected: number;
}

async function measureLoop(guest: MeasuredProcess, countRejected: () => Promise<number>): Promise<Cost> {
  await guest.waitForFact("workload.loops");
  const before = { cpuMs: guest.cpuTimeMs, rejected: await countRejected() };
  await guest.waitForFact("workload.loops_ms");
  const cpuMs = guest.cpuTimeMs - before.cpuMs;
  return { cpuMs, rejected: (await countRejected()) - before.rejected };
}

async function measurePlain(...plugin: string[]): Promise<Cost> {
  await using guest = startPlainQemu([...getGuestArguments("workload", WORK), ...plugin]);
  return await measureLoop(guest, () => Promise.resolve(0));
}

async function measureRebox(variant: RejectingVariant | undefined): Promise<Cost> {
  const args = getGuestArguments("workload", WORK);
  if (!variant) {
    await using guest = startInside("silent", args);
    return await measureLoop(guest, () => Promise.resolve(0));
  }
  await using guest = startInside("rejected-events", [variant, ...args]);
  return await measureLoop(guest, async () => {
    guest.proceed();
    return (await guest.waitForMessage<RejectedEventsReport>()).rejected;
  });
}

const toNs = (with_: Cost, without: Cost, events: number) => ((with_.cpuMs - without.cpuMs) * 1e6) / events;

/**
 * What an event costs that does not reach the script, in CPU time over the same work without it; "plain" is QEMU's own
 * plugin interface with a C plugin that makes the same test.
 */
export const rejectedEvents: Measure = {
  name: "rejected-events",
  needsPlainQemu: true,
  async run({ pairs, say }) {
    const limit = (value: number, of: "ratio" | "value") => ({ of, bound: "at most", value }) as const;
    const blocks = new SampleCollection("filtered-out block", "ns", limit(1.3, "ratio"));
    const insns = new SampleCollection("filtered-out instruction", "ns", limit(1.3, "ratio"));
    const trigger = new SampleCollection("trigger that rejects", "ns", limit(8, "value"));
    const other = new SampleCollection("another process monitored: loop, CPU time", "ms", limit(1.05, "ratio"));
    const plugins = { block: getReferencePlugin("block"), insn: getReferencePlugin("insn") };
    for (let turn = 0; turn < pairs; turn++) {
      say(`${this.name}: ${turn + 1} of ${pairs}`);
      const plain = await measurePlain();
      const idle = await measureRebox(undefined);
      const filteredBlocks = await measureRebox("filtered-blocks");
      const pluginBlocks = await measurePlain(...plugins.block);
      blocks.addRebox(toNs(filteredBlocks, idle, filteredBlocks.rejected));
      blocks.addPlain(toNs(pluginBlocks, plain, filteredBlocks.rejected));
      const filteredInsns = await measureRebox("filtered-insns");
      const pluginInsns = await measurePlain(...plugins.insn);
      insns.addRebox(toNs(filteredInsns, idle, filteredInsns.rejected));
      insns.addPlain(toNs(pluginInsns, plain, filteredInsns.rejected));
      // A trigger's events are those of the filter: the work is the same.
      trigger.addRebox(toNs(await measureRebox("trigger"), idle, filteredBlocks.rejected));
      other.addRebox((await measureRebox("other-process")).cpuMs);
      other.addPlain(idle.cpuMs);
    }
    return [blocks, insns, trigger, other].map((samples) => samples.toRow());
  },
};
