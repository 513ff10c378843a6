/** A piece of the guest's RAM. */
export interface RamRegion {
  /** Guest-physical, below 2 to the 52. */
  readonly address: number;
  /** Lies over the guest's memory itself, or over a copy of it. */
  readonly bytes: Uint8Array;
}

/** The registers of a vCPU that say where the operating system is. */
export interface CpuFacts {
  readonly index: number;
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  /** The address at which SYSCALL enters the kernel in 64-bit mode; 0 when nobody has set it. */
  readonly lstar: bigint;
  /** The address at which SYSENTER enters the kernel; 0 when nobody has set it. */
  readonly sysenterEip: bigint;
  readonly idtBase: bigint;
  readonly idtLimit: number;
  /** An address of data in the kernel's image, where an image of memory says one. */
  readonly kernelData?: bigint;
}

/**
 * A machine as what looks at it from outside needs it: RAM and registers, at one moment. The running engine is one, a
 * memory image with its registers is another.
 */
export interface GuestSource {
  /** Lists the RAM. Called anew when an address is not in the list that was given before. */
  regions(): readonly RamRegion[];
  /** Reads the vCPUs' registers as they are now. */
  cpus(): readonly CpuFacts[];
}
