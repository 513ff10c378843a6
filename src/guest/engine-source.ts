import { Engine } from "../machine/engine/engine";
import type { CpuFacts, GuestSource, RamRegion } from "../systems/memory/guest-source";
import { getCpus } from "../machine/state/cpu";

/** The running machine as a source of memory and registers. */
export class EngineSource implements GuestSource {
  regions(): readonly RamRegion[] {
    return Engine.get()
      .native.ramRegions()
      .map(({ address, buffer }) => ({ address: Number(address), bytes: new Uint8Array(buffer) }));
  }

  cpus(): readonly CpuFacts[] {
    return getCpus().map((cpu) => ({
      index: cpu.index,
      cr0: cpu.CR0,
      cr3: cpu.CR3,
      cr4: cpu.CR4,
      efer: cpu.EFER,
      lstar: cpu.LSTAR,
      sysenterEip: cpu.SYSENTER_EIP,
      idtBase: cpu.IDT_BASE,
      idtLimit: Number(cpu.IDT_LIMIT),
    }));
  }
}
