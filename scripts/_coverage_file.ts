/** Writes, reads and compares files of drcov, version 2 with the second kind of module table; for coverage. */

const RECORD_SIZE = 8;
const LARGEST_BLOCK = 0xffff;
const MOST_MODULES = 0xffff;

/** A module with the blocks that were executed in it. */
export interface CoveredModule {
  readonly path: string;
  readonly base: bigint;
  /** In bytes. */
  readonly size: number;
  /** Sizes in bytes by the distance from the base. */
  readonly blocks: ReadonlyMap<number, number>;
  readonly buildId?: string | undefined;
  readonly processes?: readonly { readonly pid: number; readonly name: string }[];
}

/** Writes a file: what was executed of each module. Readers tell modules apart by their path's last name. */
export function writeRun(modules: readonly CoveredModule[]): Uint8Array {
  // A reader of an empty table would take the next line for a module.
  const listed =
    modules.length > 0
      ? modules.slice(0, MOST_MODULES)
      : [{ path: "nothing", base: 0n, size: 0, blocks: new Map<number, number>() }];
  const hex = (value: bigint) => `0x${value.toString(16).padStart(16, "0")}`;
  const count = listed.reduce((sum, { blocks }) => sum + blocks.size, 0);
  const lines = [
    "DRCOV VERSION: 2",
    "DRCOV FLAVOR: rebox",
    `Module Table: version 2, count ${listed.length}`,
    "Columns: id, base, end, entry, path",
    // Columns end at a comma, and lines at their end: a path of the guest may have both.
    ...listed.map(({ path, base, size }, id) => `${id}, ${hex(base)}, ${hex(base + BigInt(size))}, ${hex(0n)}, ${path.replace(/,|\p{Cc}/gu, "_")}`), // prettier-ignore
    `BB Table: ${count} bbs`,
  ];
  const head = Buffer.from(`${lines.join("\n")}\n`);
  const file = Buffer.alloc(head.length + count * RECORD_SIZE);
  file.set(head);
  let at = head.length;
  listed.forEach(({ blocks }, id) => {
    for (const [offset, size] of blocks) {
      file.writeUInt32LE(offset, at);
      file.writeUInt16LE(Math.min(size, LARGEST_BLOCK), at + 4);
      file.writeUInt16LE(id, at + 6);
      at += RECORD_SIZE;
    }
  });
  return file;
}

/** Reads a file that writeRun() has written. @throws Error for another one */
export function readRun(file: Uint8Array): CoveredModule[] {
  const text = Buffer.from(file.buffer, file.byteOffset, file.length).toString("latin1");
  const [head, count] = /^DRCOV VERSION: 2\n[^\n]*\nModule Table: version 2, count \d+\nColumns: id, base, end, entry, path\n[^]*?^BB Table: (\d+) bbs\n/m.exec(text) ?? []; // prettier-ignore
  if (head === undefined || file.length < head.length + Number(count) * RECORD_SIZE) {
    throw new Error("this is no whole file of coverage_write");
  }
  const modules = [...head.matchAll(/^\d+, (0x[0-9a-f]+), (0x[0-9a-f]+), 0x[0-9a-f]+, (.*)$/gm)].map(
    ([, base, end, path]) => ({
      ...{ path: path!, base: BigInt(base!), size: Number(BigInt(end!) - BigInt(base!)) },
      blocks: new Map<number, number>(),
    }),
  );
  const view = new DataView(file.buffer, file.byteOffset + head.length);
  for (let index = 0; index < Number(count); index++) {
    const at = index * RECORD_SIZE;
    modules[view.getUint16(at + 6, true)]?.blocks.set(view.getUint32(at, true), view.getUint16(at + 4, true));
  }
  return modules;
}

/** Compares two runs, module by module: those of one path are one. */
export function compareRuns(one: readonly CoveredModule[], other: readonly CoveredModule[]) {
  const [first, second] = [merge(one), merge(other)];
  const onlyOther: CoveredModule[] = [];
  const rows = [...new Set([...first.keys(), ...second.keys()])].sort().map((path) => {
    const [a, b] = [first.get(path)?.blocks ?? new Map<number, number>(), second.get(path)?.blocks ?? new Map<number, number>()]; // prettier-ignore
    const both = [...a.keys()].filter((offset) => b.has(offset)).length;
    const added = new Map([...b].filter(([offset]) => !a.has(offset)));
    if (added.size > 0) onlyOther.push({ ...second.get(path)!, blocks: added });
    return { path, both, first: a.size - both, second: added.size };
  });
  return { rows, onlyOther };
}

function merge(modules: readonly CoveredModule[]): Map<string, CoveredModule> {
  const merged = new Map<string, CoveredModule>();
  for (const module of modules) {
    const known = merged.get(module.path);
    merged.set(module.path, known ? { ...known, blocks: new Map([...known.blocks, ...module.blocks]) } : module);
  }
  return merged;
}
