import { ImageError } from "../../errors";
import {
  PRSTATUS_32,
  PRSTATUS_64,
  QEMU_STATE,
  readRegisters,
  type RegisterLayout,
  writeRegisters,
} from "./register-layouts";
import type { SavedCpu } from "./saved-cpu";

const HEADER_SIZE = 12;
/** elf(5): NT_PRSTATUS of "CORE". */
const NT_PRSTATUS = 1;
/** The type of QEMU's own notes. */
const NT_QEMU = 0;
/** Of rebox's note: none that another program takes for one of its own, whatever the name. */
const NT_REBOX = 0x52424f58;
const QEMU_VERSION = 1;
const MOST_CPUS = 4096;

interface Note {
  readonly name: string;
  readonly type: number;
  readonly bytes: Buffer;
}

/** Returns the layout of the notes about registers in a core. */
export function findPrstatus(isLong: boolean): RegisterLayout {
  return isLong ? PRSTATUS_64 : PRSTATUS_32;
}

/**
 * Reads the vCPUs out of a core's notes: NT_PRSTATUS of any core, QEMU's note with segments and control registers, and rebox's
 * with all registers. Each kind has one note for each vCPU, in order.
 *
 * @throws ImageError when a note reaches behind the end, or rebox's is damaged
 */
export function readCoreNotes(bytes: Buffer, isLong: boolean): SavedCpu[] {
  const cpus: Map<string, bigint>[] = [];
  const counts = { status: 0, qemu: 0, rebox: 0 };
  const add = (kind: keyof typeof counts, registers: Iterable<[string, bigint]>): void => {
    const index = counts[kind]++;
    if (index >= MOST_CPUS) throw new ImageError(`the core has notes of more than ${MOST_CPUS} vCPUs`);
    const cpu = (cpus[index] ??= new Map<string, bigint>());
    for (const [name, value] of registers) cpu.set(name, value);
  };
  for (const { name, type, bytes: content } of listNotes(bytes)) {
    if (name === "CORE" && type === NT_PRSTATUS && content.length >= findPrstatus(isLong).size) {
      add("status", readRegisters(findPrstatus(isLong), content));
    } else if (name === "QEMU" && type === NT_QEMU && content.length >= 8 && content.readUInt32LE(0) === QEMU_VERSION) {
      add("qemu", readRegisters(QEMU_STATE, content));
    } else if (name === "REBOX" && type === NT_REBOX) {
      add("rebox", parseOwn(content));
    }
  }
  return cpus.map((registers, index) => ({ index, registers, isLong }));
}

function* listNotes(bytes: Buffer): Generator<Note> {
  for (let at = 0; at + HEADER_SIZE <= bytes.length;) {
    const nameSize = bytes.readUInt32LE(at);
    const size = bytes.readUInt32LE(at + 4);
    const start = at + HEADER_SIZE + padded(nameSize);
    if (start + size > bytes.length) {
      throw new ImageError(`the core's note at 0x${at.toString(16)} of its notes reaches behind their end`);
    }
    const name = bytes.toString("latin1", at + HEADER_SIZE, at + HEADER_SIZE + Math.max(0, nameSize - 1));
    yield { name, type: bytes.readUInt32LE(at + 8), bytes: bytes.subarray(start, start + size) };
    at = start + padded(size);
  }
}

/**
 * Makes the notes that say what QEMU's do, and all registers besides.
 *
 * @param vmcoreinfo what the machine's Linux says for readers of its memory
 */
export function writeCoreNotes(cpus: readonly SavedCpu[], isLong: boolean, vmcoreinfo?: Uint8Array): Buffer {
  const status = cpus.map(({ index, registers }) => {
    const layout = findPrstatus(isLong);
    const bytes = writeRegisters(layout, registers);
    // QEMU counts from 1.
    bytes.writeUInt32LE(index + 1, layout.cpuNumberAt ?? 0);
    return makeNote("CORE", NT_PRSTATUS, bytes);
  });
  const qemu = cpus.map(({ registers }) => {
    const bytes = writeRegisters(QEMU_STATE, registers);
    bytes.writeUInt32LE(QEMU_VERSION, 0);
    bytes.writeUInt32LE(QEMU_STATE.size, 4);
    return makeNote("QEMU", NT_QEMU, bytes);
  });
  const own = cpus.map(({ registers }) => {
    const values = [...registers].map(([name, value]) => [name, `0x${value.toString(16)}`]);
    return makeNote("REBOX", NT_REBOX, Buffer.from(JSON.stringify(Object.fromEntries(values))));
  });
  // Its type is 0 in cores of the kernel (include/linux/vmcore_info.h), and of QEMU.
  const kernel = vmcoreinfo === undefined ? [] : [makeNote("VMCOREINFO", 0, Buffer.from(vmcoreinfo))];
  return Buffer.concat([...status, ...qemu, ...kernel, ...own]);
}

function makeNote(name: string, type: number, content: Buffer): Buffer {
  const bytes = Buffer.alloc(HEADER_SIZE + padded(name.length + 1) + padded(content.length));
  bytes.writeUInt32LE(name.length + 1, 0);
  bytes.writeUInt32LE(content.length, 4);
  bytes.writeUInt32LE(type, 8);
  bytes.write(name, HEADER_SIZE, "latin1");
  content.copy(bytes, HEADER_SIZE + padded(name.length + 1));
  return bytes;
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}

function parseOwn(content: Buffer): [string, bigint][] {
  try {
    const values = JSON.parse(content.toString("utf8")) as Record<string, string>;
    return Object.entries(values)
      .filter(([name, value]) => /^[A-Z][A-Z0-9_]*$/.test(name) && /^0x[0-9a-f]{1,32}$/.test(value))
      .map(([name, value]) => [name, BigInt(value)]);
  } catch (error) {
    throw new ImageError(`the note with the registers is damaged: ${(error as Error).message}`);
  }
}
