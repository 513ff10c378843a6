import type { Cpu } from "../../machine/state/cpu";
import type { HookAccess, ThreadPlaces } from "./hook-access";

/** GDT_ENTRY_PERCPU of a kernel of 32 bits (arch/x86/include/asm/segment.h). */
const PERCPU_ENTRY = 27n;
const SEGMENT_SIZE = 8n;
const USER = 3n;

/** Reads which thread of the guest a vCPU executes, in user mode too. */
export class ThreadReader {
  readonly #access: HookAccess;
  readonly #bytes = new Uint8Array(8);
  readonly #view = new DataView(this.#bytes.buffer);
  #places: ThreadPlaces | undefined;

  constructor(access: HookAccess) {
    this.#access = access;
  }

  /** The kernel's places, once it is known. */
  get places(): ThreadPlaces | undefined {
    this.#places ??= this.#access.findThreadPlaces();
    return this.#places;
  }

  /** Forgets the kernel's places: another kernel may run. */
  forgetKernel(): void {
    this.#places = undefined;
  }

  /**
   * Reads what identifies the thread while it lives: the address of the kernel's own record of it. Where the kernel does not say
   * that, it is the storage that each thread of a program has of its own.
   *
   * @param pgd the address space that the vCPU is in
   */
  readKey(cpu: Cpu, pgd: bigint): bigint {
    return this.#findTask(cpu, pgd) ?? (this.places?.bits === 32 ? cpu.GS_BASE : cpu.FS_BASE);
  }

  /** Reads the number of a thread, or of its process; 0 when the kernel does not say. */
  readNumber(pgd: bigint, key: bigint, of: "tid" | "pid"): number {
    const { places } = this;
    if (places?.current === undefined) return 0;
    const into = this.#bytes.subarray(0, 4);
    return this.#access.read(pgd, key + BigInt(places[of]), into) ? this.#view.getInt32(0, true) : 0;
  }

  #findTask(cpu: Cpu, pgd: bigint): bigint | undefined {
    const { places } = this;
    if (places?.current === undefined) return undefined;
    const base = this.#findBase(cpu, pgd, places.bits);
    if (base === undefined) return undefined;
    const task = this.#word(pgd, BigInt.asUintN(places.bits, base + places.current), places.bits);
    return task === 0n ? undefined : task;
  }

  #findBase(cpu: Cpu, pgd: bigint, bits: 32 | 64): bigint | undefined {
    if (bits === 64) return cpu.CPL === USER ? cpu.KERNEL_GS_BASE : cpu.GS_BASE;
    if (cpu.CPL !== USER) return cpu.FS_BASE;
    // The program has its own in the register; the kernel loads its own from this entry.
    if (!this.#access.read(pgd, cpu.GDT_BASE + PERCPU_ENTRY * SEGMENT_SIZE, this.#bytes)) return undefined;
    const base = this.#view.getUint16(2, true) | (this.#view.getUint8(4) << 16) | (this.#view.getUint8(7) << 24);
    return BigInt.asUintN(32, BigInt(base));
  }

  #word(pgd: bigint, address: bigint, bits: 32 | 64): bigint | undefined {
    this.#view.setBigUint64(0, 0n);
    const into = bits === 64 ? this.#bytes : this.#bytes.subarray(0, 4);
    return this.#access.read(pgd, address, into) ? this.#view.getBigUint64(0, true) : undefined;
  }
}
