import { Engine } from "../engine/engine";
import type { NativeRegister } from "../engine/native";
import { checkMayChange } from "../engine/recorded";
import { findRunning, getMachine, type MachineAccess } from "./machine-access";

type WideRegisterName =
  | `R${"AX" | "BX" | "CX" | "DX" | "SI" | "DI" | "BP" | "SP" | "IP" | "FLAGS"}`
  | `R${8 | 9 | 10 | 11 | 12 | 13 | 14 | 15}`;
type NarrowRegisterName = `E${"AX" | "BX" | "CX" | "DX" | "SI" | "DI" | "BP" | "SP" | "IP" | "FLAGS"}`;
type SegmentName = "ES" | "CS" | "SS" | "DS" | "FS" | "GS" | "LDT" | "TR";
type SegmentRegisterName =
  SegmentName | `${SegmentName}_${"BASE" | "LIMIT" | "FLAGS"}` | `${"GDT" | "IDT"}_${"BASE" | "LIMIT"}`;
type SystemRegisterName =
  | `CR${0 | 2 | 3 | 4 | 8}`
  | `DR${0 | 1 | 2 | 3 | 6 | 7}`
  | "CPL"
  | "EFER"
  | "STAR"
  | "LSTAR"
  | "CSTAR"
  | "FMASK"
  | "KERNEL_GS_BASE"
  | `SYSENTER_${"CS" | "ESP" | "EIP"}`
  | "TSC_AUX"
  | "XCR0"
  | "MXCSR";
type VectorRegisterName = `XMM${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15}`;

/** The name of a register. PC is RIP; EAX and its like are the low 32 bits of RAX and its like. */
export type RegisterName =
  WideRegisterName | NarrowRegisterName | SegmentRegisterName | SystemRegisterName | VectorRegisterName | "PC";

/** Other names of registers: the register that they are of, and which of its bits. */
export const REGISTER_ALIASES: Record<string, { of: string; mask: bigint }> = { PC: { of: "RIP", mask: ~0n } };
for (const name of ["AX", "BX", "CX", "DX", "SI", "DI", "BP", "SP", "IP", "FLAGS"]) {
  REGISTER_ALIASES[`E${name}`] = { of: `R${name}`, mask: 0xffffffffn };
}

/** The memory of one vCPU's state in the widths that registers have. */
interface StateWords {
  readonly bytes: Uint8Array;
  readonly words32: Uint32Array;
  readonly words64: BigUint64Array;
}

const STATE = Symbol("state");

/**
 * One vCPU, live: its register properties read QEMU's own state at the moment they are read, and writing one of them
 * writes the register. One object for each vCPU, for the engine's life.
 *
 * In BLOCK_BEGIN_CB all registers are exact. While the guest executes and no callback runs, nothing can look.
 */
export class Cpu {
  readonly [STATE]: StateWords;

  /** @param index the vCPU's number, from 0 */
  constructor(
    native: MachineAccess,
    readonly index: number,
  ) {
    const buffer = native.cpuState(index);
    if (!buffer) {
      throw new RangeError(`there is no vCPU ${index}: the machine has ${native.cpuCount()}, numbered from 0`);
    }
    this[STATE] = {
      bytes: new Uint8Array(buffer),
      words32: new Uint32Array(buffer, 0, buffer.byteLength >> 2),
      words64: new BigUint64Array(buffer, 0, buffer.byteLength >> 3),
    };
  }
}

/** Every register as a bigint; see Cpu. */
export interface Cpu extends Record<RegisterName, bigint> {}

function createReader(native: MachineAccess, register: NativeRegister, id: number): (this: Cpu) => bigint {
  if (register.computed) {
    return function () {
      return native.readRegister(this.index, id) ?? 0n;
    };
  }
  if (register.size === 8) {
    const word = register.offset >> 3;
    return function () {
      return this[STATE].words64[word] as bigint;
    };
  }
  if (register.size === 16) {
    const word = register.offset >> 3;
    return function () {
      const { words64 } = this[STATE];
      return ((words64[word + 1] as bigint) << 64n) | (words64[word] as bigint);
    };
  }
  const word = register.offset >> 2;
  return function () {
    return BigInt(this[STATE].words32[word] as number);
  };
}

let registerIds: Map<string, number> | undefined;

/**
 * Writes a register by its id.
 *
 * @throws RangeError when this register cannot be written
 * @throws RecordedError when the machine is recorded or replayed
 */
function writeRegisterById(native: MachineAccess, cpuIndex: number, name: string, id: number, value: bigint): void {
  checkMayChange(findRunning(), `${name} cannot be written`);
  if (!native.writeRegister(cpuIndex, id, BigInt.asUintN(64, value))) {
    throw new RangeError(`${name} cannot be written; segments are written by writeSegmentRegister()`);
  }
}

function defineRegisters(native: MachineAccess): Map<string, number> {
  const ids = new Map<string, number>();
  native.registers().forEach((register, id) => {
    const { name } = register;
    ids.set(name, id);
    Object.defineProperty(Cpu.prototype, name, {
      enumerable: true,
      get: createReader(native, register, id),
      set(this: Cpu, value: bigint) {
        writeRegisterById(native, this.index, name, id, value);
      },
    });
  });
  for (const [alias, { of, mask }] of Object.entries(REGISTER_ALIASES)) {
    const id = ids.get(of) as number;
    const wide = Object.getOwnPropertyDescriptor(Cpu.prototype, of)?.get as ((this: Cpu) => bigint) | undefined;
    // An image may lack registers.
    if (!wide) continue;
    ids.set(alias, id);
    Object.defineProperty(Cpu.prototype, alias, {
      enumerable: true,
      get(this: Cpu) {
        return wide.call(this) & mask;
      },
      set(this: Cpu, value: bigint) {
        writeRegisterById(native, this.index, alias, id, value & mask);
      },
    });
  }
  return ids;
}

let cpus: Cpu[] | undefined;

/**
 * Lists the machine's vCPUs, in the order of their index.
 *
 * @throws EngineUsageError when there is no machine
 */
export function getCpus(): readonly Cpu[] {
  if (!cpus) {
    const native = getMachine();
    registerIds = defineRegisters(native);
    cpus = Array.from({ length: native.cpuCount() }, (_, index) => new Cpu(native, index));
  }
  return cpus;
}

/** Counts the machine's vCPUs. */
export function getNumCpus(): number {
  return getCpus().length;
}

/** Finds the vCPU of the event whose callback is being called, or that holds the guest; undefined when there is none. */
export function findEventCpu(): number | undefined {
  const cpuIndex = Engine.find()?.native.eventCpu() ?? -1;
  return cpuIndex < 0 ? undefined : cpuIndex;
}

/**
 * Gets a vCPU, whose properties are its registers.
 *
 * @param cpuIndex from 0
 * @throws RangeError when there is no such vCPU
 */
export function readCpu(cpuIndex = 0): Cpu {
  const cpu = getCpus()[cpuIndex];
  if (!cpu) {
    throw new RangeError(`there is no vCPU ${cpuIndex}: the machine has ${getNumCpus()}, numbered from 0`);
  }
  return cpu;
}

/**
 * Writes a register. In a callback the guest goes on with the new value, also of the program counter.
 *
 * @param cpuIndex from 0
 * @param name in capitals, for example "RAX", "EAX", "PC", "CR3"
 * @param value taken modulo 2 to the 64; a 32-bit name clears the upper half, as the processor does
 * @throws RangeError when there is no such vCPU or register, or it cannot be written
 */
export function writeRegister(cpuIndex: number, name: RegisterName, value: bigint): void {
  const cpu = readCpu(cpuIndex);
  const id = registerIds?.get(name);
  if (id === undefined) {
    throw new RangeError(`there is no register ${name}: names are in capitals, such as RAX, EAX, CR3, GS_BASE`);
  }
  writeRegisterById(getMachine(), cpu.index, name, id, value & (REGISTER_ALIASES[name]?.mask ?? ~0n));
}

const SEGMENTS = ["ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR", "GDT", "IDT"] as const;

/**
 * Writes a segment register with its hidden part. GDT and IDT have only base and limit.
 *
 * @param cpuIndex from 0
 * @param base a linear address
 * @param limit in bytes, as the processor uses it (after the granularity bit)
 * @param flags the second half of the descriptor, as QEMU keeps it
 * @throws RangeError when there is no such vCPU or segment
 */
export function writeSegmentRegister(
  cpuIndex: number,
  name: (typeof SEGMENTS)[number],
  selector: number,
  base: bigint,
  limit: number,
  flags: number,
): void {
  const cpu = readCpu(cpuIndex);
  checkMayChange(findRunning(), `${name} cannot be written`);
  const segment = SEGMENTS.indexOf(name);
  if (segment < 0) {
    throw new RangeError(`there is no segment register ${name}: it is one of ${SEGMENTS.join(", ")}`);
  }
  getMachine().writeSegment(cpu.index, segment, selector, BigInt.asUintN(64, base), limit, flags);
}
