import { makeProcessNotes } from "../../../src/guest/artefacts/process-core-notes";
import { USER_REGISTERS } from "../../../src/guest/artefacts/user-registers";

/** Memory of a core that a test makes. */
export interface MadeMemory {
  readonly start: bigint;
  readonly content: Buffer;
  /** Of the file that is mapped there; empty without one. */
  readonly path: string;
}

const [HEADER_SIZE, ENTRY_SIZE] = [64, 56];
const PAGE = 4096;

/** Makes the core of a process with one thread, whose program counter is at the beginning of its first memory. */
export function makeCore(pid: number, memory: readonly MadeMemory[]): Buffer {
  const registers = USER_REGISTERS.map((name) => (name === "RIP" ? memory[0]!.start : name === "RSP" ? memory.at(-1)!.start : 0n)); // prettier-ignore
  const mappings = memory.map(({ start, content, path }) => ({ start, end: start + BigInt(content.length), permissions: "r-xp", offset: 0n, path, file: path === "" ? 0n : 1n, kaddr: 0n })); // prettier-ignore
  const notes = makeProcessNotes({
    ...{ pid, ppid: 1, uid: 0, gid: 0, name: "sample", commandLine: "sample", auxv: new Uint8Array(16), mappings },
    ...{ threads: [{ tid: pid, registers }], signal: 11 },
  });
  const entries = memory.length + 1;
  const notesAt = HEADER_SIZE + ENTRY_SIZE * entries;
  const head = Buffer.alloc(Math.ceil((notesAt + notes.length) / PAGE) * PAGE);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(head);
  head.writeUInt16LE(4, 16);
  head.writeUInt16LE(62, 18);
  head.writeBigUInt64LE(BigInt(HEADER_SIZE), 32);
  [HEADER_SIZE, ENTRY_SIZE, entries].forEach((value, index) => head.writeUInt16LE(value, 52 + index * 2));
  const write = (index: number, type: number, words: readonly (number | bigint)[]) => {
    const at = HEADER_SIZE + index * ENTRY_SIZE;
    head.writeUInt32LE(type, at);
    head.writeUInt32LE(5, at + 4);
    words.forEach((word, field) => head.writeBigUInt64LE(BigInt(word), at + 8 + field * 8));
  };
  write(0, 4, [notesAt, 0, 0, notes.length, 0, 4]);
  let offset = head.length;
  memory.forEach(({ start, content }, index) => {
    write(index + 1, 1, [offset, start, 0, content.length, content.length, PAGE]);
    offset += content.length;
  });
  notes.copy(head, notesAt);
  return Buffer.concat([head, ...memory.map(({ content }) => content)]);
}
