import { join } from "node:path";
import type { CpuFacts } from "../../../src/systems/memory/guest-source";
import { readImageSymbols, type SymbolFinder } from "../../../src/systems/windows/symbols/image-symbols";
import { MemoryImage } from "../memory-image";
import { buildNtKernel, type NtOptions, type NtTruth } from "./nt-kernel";
import { withNt } from "./nt-run";

const LOW = { address: 0, size: 0xa0000 };
const HIGH = { address: 0x100000, size: (64 << 20) - 0x100000 - 0x20000 };
const PDB_FILES = ["ntkrnlmp", "ntdll", "program", "library", "disk", "program32", "wntdll", "wow64"];

/** Copies the guest's memory and registers to a file when it is asked to. */
const SAVE = (folder: string) => `
  import { writeFileSync } from "node:fs";
  import { readCpu, readPa } from "rebox";
  export function do_save(): string {
    const cpu = readCpu(0);
    const facts = { cr0: cpu.CR0, cr3: cpu.CR3, cr4: cpu.CR4, efer: cpu.EFER, lstar: cpu.LSTAR, sysenterEip: cpu.SYSENTER_EIP,
      idtBase: cpu.IDT_BASE };
    const words = Object.fromEntries(Object.entries(facts).map(([key, value]) => [key, String(value)]));
    const ram = [${JSON.stringify(LOW)}, ${JSON.stringify(HIGH)}].map(({ address, size }) => readPa(BigInt(address), size).toString("base64"));
    writeFileSync(${JSON.stringify(folder)} + "/seen.json", JSON.stringify({ words, idtLimit: Number(cpu.IDT_LIMIT), ram }));
    return "saved";
  }
  export const initialize_callbacks = (): void => {};
  export const clean = (): void => {};
`;

interface Seen {
  readonly words: Record<string, string>;
  readonly idtLimit: number;
  readonly ram: readonly string[];
}

/** The memory of a test kernel that has followed its script, with the kernel's own words. */
export interface NtImage {
  readonly image: MemoryImage;
  /** The memory from 1 MiB on: a test may change it. */
  readonly memory: Buffer;
  readonly truth: readonly NtTruth[];
  readonly findSymbols: SymbolFinder;
}

/** Boots the test kernel, takes its memory when its script holds first, and ends it. */
export async function saveNtImage(options: NtOptions): Promise<NtImage> {
  const outcome = await withNt({ ...options, rebox: SAVE }, async ({ untilHold, text }) => {
    await untilHold(1);
    await text("custom save");
  });
  const { words, idtLimit, ram } = outcome.seen as Seen;
  const numbers = Object.fromEntries(Object.entries(words).map(([key, text]) => [key, BigInt(text)]));
  const [low, high] = ram.map((text) => Buffer.from(text, "base64")) as [Buffer, Buffer];
  const memory = Buffer.from(new Uint8Array(high).buffer);
  const regions = [
    { address: LOW.address, bytes: new Uint8Array(low) },
    { address: HIGH.address, bytes: memory },
  ];
  const image = new MemoryImage(regions, [{ index: 0, idtLimit, ...numbers } as unknown as CpuFacts]);
  const { folder } = buildNtKernel(options.layout);
  const files = PDB_FILES.map((name) => readImageSymbols(join(folder, `${name}.pdb`)));
  return {
    image,
    memory,
    truth: outcome.truth,
    findSymbols: ({ guid }) => files.find((file) => file.identity.guid === guid),
  };
}
