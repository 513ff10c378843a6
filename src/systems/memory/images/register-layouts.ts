/** The place of a register in a note. */
export interface RegisterField {
  readonly name: string;
  readonly offset: number;
  /** In bytes. */
  readonly size: 2 | 4 | 8;
}

/** A struct of registers in a note of an ELF core. */
export interface RegisterLayout {
  /** In bytes. */
  readonly size: number;
  readonly fields: readonly RegisterField[];
  /** The offset of the vCPU's number (pr_pid), a 32-bit word. */
  readonly cpuNumberAt?: number;
}

function inOrder(names: readonly string[], start: number, size: 4 | 8): RegisterField[] {
  // A name without letters stands for a word that is no register.
  return names.map((name, index) => ({ name, offset: start + index * size, size })).filter(({ name }) => name !== "-");
}

/** struct elf_prstatus of x86-64 (include/linux/elfcore.h): struct user_regs_struct lies at 112. */
export const PRSTATUS_64: RegisterLayout = {
  size: 336,
  cpuNumberAt: 32,
  fields: inOrder(
    [
      ...["R15", "R14", "R13", "R12", "RBP", "RBX", "R11", "R10", "R9", "R8", "RAX", "RCX", "RDX", "RSI", "RDI", "-"],
      ...["RIP", "CS", "RFLAGS", "RSP", "SS", "FS_BASE", "GS_BASE", "DS", "ES", "FS", "GS"],
    ],
    112,
    8,
  ),
};

/** struct elf_prstatus of i386: struct user_regs_struct lies at 72. */
export const PRSTATUS_32: RegisterLayout = {
  size: 144,
  cpuNumberAt: 24,
  fields: inOrder(
    ["RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RAX", "DS", "ES", "FS", "GS", "-", "RIP", "CS", "RFLAGS", "RSP", "SS"],
    72,
    4,
  ),
};

const QEMU_SEGMENTS = ["CS", "DS", "ES", "FS", "GS", "SS", "LDT", "TR", "GDT", "IDT"];
const QEMU_SEGMENTS_AT = 152;
const QEMU_SEGMENT_SIZE = 24;
const QEMU_CONTROL_AT = QEMU_SEGMENTS_AT + QEMU_SEGMENTS.length * QEMU_SEGMENT_SIZE;

/** QEMUCPUState of QEMU 10.0, target/i386/arch_dump.c, version 1; its first words are version and size. */
export const QEMU_STATE: RegisterLayout = {
  size: 440,
  fields: [
    ...inOrder(
      [
        ...["RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RSP", "RBP"],
        ...["R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "RIP", "RFLAGS"],
      ],
      8,
      8,
    ),
    ...QEMU_SEGMENTS.flatMap((name, index): RegisterField[] => {
      const at = QEMU_SEGMENTS_AT + index * QEMU_SEGMENT_SIZE;
      const limit: RegisterField = { name: `${name}_LIMIT`, offset: at + 4, size: 4 };
      const base: RegisterField = { name: `${name}_BASE`, offset: at + 16, size: 8 };
      if (name === "GDT" || name === "IDT") return [limit, base];
      return [{ name, offset: at, size: 4 }, limit, { name: `${name}_FLAGS`, offset: at + 8, size: 4 }, base];
    }),
    ...inOrder(["CR0", "-", "CR2", "CR3", "CR4", "KERNEL_GS_BASE"], QEMU_CONTROL_AT, 8),
  ],
};

/** Reads the registers of a note; those that lie behind its end are left out, since later versions added some. */
export function readRegisters({ fields }: RegisterLayout, bytes: Buffer): Map<string, bigint> {
  return new Map(
    fields
      .filter(({ offset, size }) => offset + size <= bytes.length)
      .map(({ name, offset, size }) => [
        name,
        size === 8 ? bytes.readBigUInt64LE(offset) : BigInt(bytes.readUIntLE(offset, size)),
      ]),
  );
}

/** Makes a note's struct of registers; what is wider than its field is cut off. */
export function writeRegisters(layout: RegisterLayout, registers: ReadonlyMap<string, bigint>): Buffer {
  const bytes = Buffer.alloc(layout.size);
  for (const { name, offset, size } of layout.fields) {
    const value = registers.get(name) ?? 0n;
    if (size === 8) bytes.writeBigUInt64LE(BigInt.asUintN(64, value), offset);
    else bytes.writeUIntLE(Number(BigInt.asUintN(size * 8, value)), offset, size);
  }
  return bytes;
}
