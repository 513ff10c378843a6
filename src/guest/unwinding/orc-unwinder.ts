import { type KernelModule, listKernelModules } from "../../systems/linux/modules/kernel-module";
import type { LinuxKernel } from "../../systems/linux/structs/linux-kernel";
import type { FrameRegisters } from "./stack-frame";

/** struct orc_entry is packed: two offsets of 16 bits, and 16 bits of fields (arch/x86/include/asm/orc_types.h). */
const ENTRY_SIZE = 6;
/** ORC_REG_*, the same in all versions. */
const PREV_SP = 1;
const BP = 4;
const SP = 5;
const BP_INDIRECT = 8;
const SP_INDIRECT = 9;
/** The members of struct pt_regs behind the general registers, in 64-bit words: ip, cs, flags, sp, ss. */
const WORD = 8n;
/** The largest modules have some ten thousands. */
const MOST_ENTRIES = 1_000_000;

interface OrcEntry {
  readonly spOffset: bigint;
  readonly bpOffset: bigint;
  readonly spRegister: number;
  readonly bpRegister: number;
  readonly type: "call" | "registers" | "partial" | "end";
}

/** The code of the kernel, or of one of its modules. */
interface OrcTable {
  /** Of int[count]. */
  readonly addresses: bigint;
  /** Of struct orc_entry[count]. */
  readonly entries: bigint;
  readonly count: number;
}

/** The place that one step of unwinding has led to: to a caller, or to where user mode was left. */
export interface OrcStep {
  readonly registers: FrameRegisters;
  readonly isUser: boolean;
}

/** Unwinds the kernel's stack by its own tables (Documentation/arch/x86/orc-unwinder.rst): CONFIG_UNWINDER_ORC, 4.14 on. */
export class OrcUnwinder {
  #modules: readonly KernelModule[] | undefined;

  private constructor(
    private readonly kernel: LinuxKernel,
    private readonly own: OrcTable,
    /** Since 6.4 the type has 3 bits and other values. */
    private readonly hasNewTypes: boolean,
  ) {}

  /** Finds the tables; undefined when this kernel has none. */
  static find(kernel: LinuxKernel): OrcUnwinder | undefined {
    const addresses = kernel.findSymbol("__start_orc_unwind_ip");
    const end = kernel.findSymbol("__stop_orc_unwind_ip");
    const entries = kernel.findSymbol("__start_orc_unwind");
    const type = kernel.findMember("orc_entry", "type");
    if (kernel.bits !== 64 || addresses === undefined || end === undefined || entries === undefined || !type) {
      return undefined;
    }
    const count = Number((end - addresses) / 4n);
    return count > 0 ? new OrcUnwinder(kernel, { addresses, entries, count }, type.bitSize === 3) : undefined;
  }

  /**
   * Goes to the caller.
   *
   * @returns undefined at the end of the stack, or where the tables say nothing
   * @throws AddressError when the stack cannot be read
   */
  step({ ip, sp, bp, isExact }: FrameRegisters): OrcStep | undefined {
    const entry = this.#findEntry(isExact ? ip : ip - 1n);
    if (!entry || entry.type === "end") return undefined;
    const frame = this.#findFrame(entry, sp, bp);
    if (frame === undefined) return undefined;
    const { memory } = this.kernel;
    const savedBp = this.#findBp(entry, frame, bp);
    if (entry.type === "call") {
      const registers = { ip: memory.u64(frame - WORD), sp: frame, bp: savedBp, isExact: false };
      return registers.ip === 0n ? undefined : { registers, isUser: false };
    }
    // "partial" has what the processor pushes only: ip, cs, flags, sp, ss.
    const pushed = entry.type === "partial" ? frame : frame + BigInt(this.kernel.offset("pt_regs", "ip"));
    const registers = { ip: memory.u64(pushed), sp: memory.u64(pushed + 3n * WORD), bp: savedBp, isExact: true };
    const isUser = (memory.u64(pushed + WORD) & 3n) === 3n;
    if (entry.type === "registers") {
      const saved = memory.u64(frame + BigInt(this.kernel.offset("pt_regs", "bp")));
      return { registers: { ...registers, bp: saved }, isUser };
    }
    return { registers, isUser };
  }

  #findFrame({ spRegister, spOffset }: OrcEntry, sp: bigint, bp: bigint): bigint | undefined {
    const { memory } = this.kernel;
    if (spRegister === SP) return sp + spOffset;
    if (spRegister === BP) return bp + spOffset;
    if (spRegister === SP_INDIRECT) return memory.u64(sp) + spOffset;
    if (spRegister === BP_INDIRECT) return memory.u64(bp + spOffset);
    // The others are registers that only the frame of an exception has.
    return undefined;
  }

  #findBp({ bpRegister, bpOffset }: OrcEntry, frame: bigint, bp: bigint): bigint {
    if (bpRegister === PREV_SP) return this.kernel.memory.u64(frame + bpOffset);
    return bpRegister === BP ? this.kernel.memory.u64(bp + bpOffset) : bp;
  }

  /** The entry of the last address that is not above this one: they are sorted, and relative to their own place. */
  #findEntry(ip: bigint): OrcEntry | undefined {
    const table = this.#findTable(ip);
    if (!table) return undefined;
    let low = 0;
    let high = table.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#addressAt(table, middle) <= ip) low = middle + 1;
      else high = middle;
    }
    // The kernel's last entry stands for the end of its code; a module has code up to its end.
    return low === 0 || (table === this.own && low === table.count) ? undefined : this.#entryAt(table, low - 1);
  }

  /** The kernel's own table, or that of the module whose code this is (struct mod_arch_specific). */
  #findTable(ip: bigint): OrcTable | undefined {
    const { start, size } = this.kernel.image;
    if (ip >= start && ip < start + BigInt(size)) return this.own;
    if (!this.kernel.findMember("module", "arch.num_orcs")) return undefined;
    this.#modules ??= listKernelModules(this.kernel);
    const found = this.#modules.find(({ memory }) =>
      memory.some(({ base, size: length }) => ip >= base && ip < base + BigInt(length)),
    );
    if (!found) return undefined;
    const module = this.kernel.at("module", found.kaddr);
    const count = module.number("arch.num_orcs");
    if (!(count > 0 && count <= MOST_ENTRIES)) return undefined;
    return { addresses: module.value("arch.orc_unwind_ip"), entries: module.value("arch.orc_unwind"), count };
  }

  #addressAt({ addresses }: OrcTable, index: number): bigint {
    const at = addresses + BigInt(index * 4);
    return BigInt.asUintN(64, at + BigInt(this.kernel.memory.view(at, 4).getInt32(0, true)));
  }

  #entryAt({ entries }: OrcTable, index: number): OrcEntry {
    const view = this.kernel.memory.view(entries + BigInt(index * ENTRY_SIZE), ENTRY_SIZE);
    const fields = view.getUint16(4, true);
    const spRegister = fields & 15;
    const number = (fields >> 8) & (this.hasNewTypes ? 7 : 3);
    const types = this.hasNewTypes
      ? (["end", "end", "call", "registers", "partial"] as const)
      : (["call", "registers", "partial"] as const);
    return {
      spOffset: BigInt(view.getInt16(0, true)),
      bpOffset: BigInt(view.getInt16(2, true)),
      spRegister,
      bpRegister: (fields >> 4) & 15,
      // Without a register to start from there is no frame: the end of the stack.
      type: spRegister === 0 ? "end" : (types[number] ?? "end"),
    };
  }
}
