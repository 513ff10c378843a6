/** Reads which lines of source a program's instructions are of, out of its debug information: for coverage. DWARF 2 to 5, section 6.2. */

/** From here to the next row the instructions are of this line. */
export interface LineRow {
  readonly address: number;
  readonly end: number;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Whether a statement begins here, as its author wrote it. */
  readonly isStatement: boolean;
}

/** Standard opcodes of a line program (7.22). */
const OP = { copy: 1, advancePc: 2, advanceLine: 3, setFile: 4, negateStatement: 6, constAddPc: 8, fixedAdvancePc: 9 };
const EXTENDED = { endSequence: 1, setAddress: 2 };
/** Contents and forms of directories and files from version 5 on (7.22, 7.5.6). */
const [LNCT_PATH, LNCT_DIRECTORY] = [1, 2];
const FORM = { block: 0x09, string: 0x08, data1: 0x0b, data2: 0x05, data4: 0x06, data8: 0x07, udata: 0x0f, data16: 0x1e, strp: 0x0e, lineStrp: 0x1f }; // prettier-ignore
const LONGEST_PROGRAM = 64 << 20;

/** @throws Error for a file that is no ELF of 64 bits, or has no lines */
export function readLineRows(file: Uint8Array): LineRow[] {
  const sections = readSections(file);
  const lines = sections.get(".debug_line");
  if (lines === undefined) throw new Error("the program has no lines: compile it with -g, and do not strip it");
  if (lines.length > LONGEST_PROGRAM)
    throw new Error(`its lines have ${lines.length} bytes, more than ${LONGEST_PROGRAM}`);
  const texts = { lineStrings: sections.get(".debug_line_str"), strings: sections.get(".debug_str") };
  const reader = new Reader(lines);
  const rows: LineRow[] = [];
  while (reader.at + 4 < lines.length) {
    const length = reader.u32();
    if (length >= 0xfffffff0) throw new Error("its lines are of 64-bit DWARF, which is not read");
    const end = reader.at + length;
    readUnit(reader, end, texts, rows);
    reader.at = end;
  }
  return rows;
}

interface Texts {
  readonly lineStrings: Uint8Array | undefined;
  readonly strings: Uint8Array | undefined;
}

function readUnit(reader: Reader, end: number, texts: Texts, rows: LineRow[]): void {
  const version = reader.u16();
  if (version < 2 || version > 5) throw new Error(`its lines are of DWARF ${version}; 2 to 5 are read`);
  if (version === 5) reader.at += 2;
  const headerLength = reader.u32();
  const programAt = reader.at + headerLength;
  const smallestInstruction = reader.u8();
  if (version >= 4) reader.u8();
  const isStatementFirst = reader.u8() !== 0;
  const lineBase = (reader.u8() << 24) >> 24;
  const lineRange = reader.u8();
  const opcodeBase = reader.u8();
  const lengths = Array.from({ length: Math.max(0, opcodeBase - 1) }, () => reader.u8());
  const files = version === 5 ? readTables(reader, texts) : readOldTables(reader);
  reader.at = programAt;
  if (lineRange === 0) throw new Error("its lines are damaged");
  let row = { address: 0, file: 1, line: 1, isStatement: isStatementFirst };
  let last: typeof row | undefined;
  const emit = (isEnd: boolean): void => {
    if (last !== undefined && row.address > last.address) {
      rows.push({ ...last, end: row.address, file: files[last.file] ?? "?" });
    }
    last = isEnd ? undefined : { ...row };
  };
  while (reader.at < end) {
    const opcode = reader.u8();
    if (opcode >= opcodeBase) {
      const adjusted = opcode - opcodeBase;
      row.address += Math.floor(adjusted / lineRange) * smallestInstruction;
      row.line += lineBase + (adjusted % lineRange);
      emit(false);
      continue;
    }
    switch (opcode) {
      case 0: {
        const size = reader.uleb();
        const next = reader.at + size;
        const kind = reader.u8();
        if (kind === EXTENDED.setAddress) row.address = reader.u64();
        if (kind === EXTENDED.endSequence) {
          emit(true);
          row = { address: 0, file: 1, line: 1, isStatement: isStatementFirst };
        }
        reader.at = next;
        break;
      }
      case OP.copy:
        emit(false);
        break;
      case OP.advancePc:
        row.address += reader.uleb() * smallestInstruction;
        break;
      case OP.advanceLine:
        row.line += reader.sleb();
        break;
      case OP.setFile:
        row.file = reader.uleb();
        break;
      case OP.negateStatement:
        row.isStatement = !row.isStatement;
        break;
      case OP.constAddPc:
        row.address += Math.floor((255 - opcodeBase) / lineRange) * smallestInstruction;
        break;
      case OP.fixedAdvancePc:
        row.address += reader.u16();
        break;
      default:
        for (let count = lengths[opcode - 1] ?? 0; count > 0; count--) reader.uleb();
    }
  }
}

/** Up to version 4 the first directory is the compiler's, without a name, and files count from 1. */
function readOldTables(reader: Reader): string[] {
  const folders = [""];
  for (let name = reader.text(); name !== ""; name = reader.text()) folders.push(name);
  const files = ["?"];
  for (let name = reader.text(); name !== ""; name = reader.text()) {
    files.push(join(folders[reader.uleb()] ?? "", name));
    reader.uleb();
    reader.uleb();
  }
  return files;
}

function readTables(reader: Reader, texts: Texts): string[] {
  const folders = readTable(reader, texts).map(({ path }) => path);
  const own = (folder: string): string => (folder === folders[0] ? folder : join(folders[0] ?? "", folder));
  return readTable(reader, texts).map(({ path, folder }) => join(own(folders[folder] ?? ""), path));
}

function readTable(reader: Reader, texts: Texts): { readonly path: string; readonly folder: number }[] {
  const format = Array.from({ length: reader.u8() }, () => [reader.uleb(), reader.uleb()] as const);
  return Array.from({ length: reader.uleb() }, () => {
    let [path, folder] = ["", 0];
    for (const [content, form] of format) {
      const value = reader.form(form, texts);
      if (content === LNCT_PATH) path = String(value);
      if (content === LNCT_DIRECTORY) folder = Number(value);
    }
    return { path, folder };
  });
}

function join(folder: string, name: string): string {
  return folder === "" || name.startsWith("/") ? name : `${folder}/${name}`;
}

class Reader {
  at = 0;
  readonly #view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  u8 = (): number => this.#view.getUint8(this.at++);
  u16 = (): number => this.#view.getUint16((this.at += 2) - 2, true);
  u32 = (): number => this.#view.getUint32((this.at += 4) - 4, true);
  u64 = (): number => Number(this.#view.getBigUint64((this.at += 8) - 8, true));

  uleb(): number {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if ((byte & 0x80) === 0) return value;
      factor *= 128;
    }
  }

  sleb(): number {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      factor *= 128;
      if ((byte & 0x80) === 0) return (byte & 0x40) === 0 ? value : value - factor;
    }
  }

  text(from = this.at, bytes = this.bytes): string {
    const end = bytes.indexOf(0, from);
    if (end < 0) throw new Error("its lines are damaged");
    if (bytes === this.bytes) this.at = end + 1;
    return Buffer.from(bytes.subarray(from, end)).toString();
  }

  form(form: number, { lineStrings, strings }: Texts): string | number {
    switch (form) {
      case FORM.string:
        return this.text();
      case FORM.lineStrp:
        return this.text(this.u32(), lineStrings ?? new Uint8Array(0));
      case FORM.strp:
        return this.text(this.u32(), strings ?? new Uint8Array(0));
      case FORM.udata:
        return this.uleb();
      case FORM.data1:
        return this.u8();
      case FORM.data2:
        return this.u16();
      case FORM.data4:
        return this.u32();
      case FORM.data8:
        return this.u64();
      case FORM.data16:
        this.at += 16;
        return 0;
      case FORM.block:
        this.at += this.uleb();
        return 0;
      default:
        throw new Error(`its lines have the form ${form}, which is not known`);
    }
  }
}

/** The sections of an ELF file of 64 bits by their names; those that are compressed are left out. */
function readSections(file: Uint8Array): Map<string, Uint8Array> {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  if (file.length < 64 || view.getUint32(0, false) !== 0x7f454c46 || file[4] !== 2) throw new Error("this is no ELF file of 64 bits"); // prettier-ignore
  const table = Number(view.getBigUint64(40, true));
  const headers = Array.from({ length: view.getUint16(60, true) }, (_, index) => {
    const at = table + index * 64;
    const [offset, size] = [Number(view.getBigUint64(at + 24, true)), Number(view.getBigUint64(at + 32, true))];
    const isCompressed = (view.getBigUint64(at + 8, true) & 0x800n) !== 0n;
    return { name: view.getUint32(at, true), isCompressed, bytes: file.subarray(offset, offset + size) };
  });
  const names = headers[view.getUint16(62, true)]?.bytes ?? new Uint8Array(0);
  const nameAt = (at: number): string => Buffer.from(names.subarray(at, Math.max(at, names.indexOf(0, at)))).toString();
  return new Map(headers.filter(({ isCompressed }) => !isCompressed).map(({ name, bytes }) => [nameAt(name), bytes]));
}
