import { MemoryResult, type NativeRamRegion, type NativeRegister } from "../../machine/engine/native";
import type { CpuFacts, RamRegion } from "../../systems/memory/guest-source";
import { ImageError } from "../../systems/errors";
import type { ImageLayout } from "../../systems/memory/images/image-layout";
import { findCpuFacts } from "../../systems/memory/images/saved-cpu";
import { findPagingMode, PageTables } from "../../systems/memory/page-tables";
import { kernelTablesOf } from "../../systems/linux/processes/isolated-tables";
import { scanForKernel } from "../../systems/linux/attach/kernel-scan";
import { scanForWindows } from "../../systems/windows/kernel/kernel-scan";
import { Ram, type RamRange } from "../../systems/memory/ram";
import type { StillMachine } from "../../machine/state/machine-access";

const PAGE = 0x1000;
const SLOT_SIZE = 16;

/** A memory image in the place of a running machine: it is read as that is, and cannot be written. */
export class ImageMachine implements StillMachine {
  readonly #ram: Ram;
  readonly #saved: readonly ReadonlyMap<string, bigint>[];
  readonly #names: readonly string[];
  #facts: readonly CpuFacts[];
  #scanned: readonly CpuFacts[] | undefined;
  #lastFault = 0n;

  /**
   * @param path of the file
   * @param memory with ArrayBuffers that begin where the regions do
   * @param spans the memory that is not known to be zero
   * @param file the memory's file, which stays open, and where in it each piece of memory is
   */
  constructor(
    readonly path: string,
    private readonly memory: readonly RamRegion[],
    { cpus, facts }: Pick<ImageLayout, "cpus" | "facts">,
    private readonly spans: readonly RamRange[],
    readonly file: StillMachine["file"],
  ) {
    this.#ram = new Ram(this);
    this.#saved = cpus.map(({ registers }) => addPrivilege(registers));
    this.#names = [...new Set(this.#saved.flatMap((registers) => [...registers.keys()]))];
    this.#facts = facts ?? cpus.map(findCpuFacts).filter((found) => found !== undefined);
  }

  regions(): readonly RamRegion[] {
    return this.memory;
  }

  cpus(): readonly CpuFacts[] {
    return this.#facts.length > 0 ? this.#facts : this.scan();
  }

  scan(): readonly CpuFacts[] {
    if (!this.#scanned) {
      const found = scanForKernel(this.#ram, this.spans) ?? scanForWindows(this.#ram, this.spans);
      this.#scanned = found ? [found] : [];
    }
    return this.#scanned;
  }

  distrustRegisters(): void {
    this.#facts = [];
  }

  cpuCount(): number {
    return this.#saved.length;
  }

  registers(): NativeRegister[] {
    return this.#names.map((name, index) => ({
      ...{ name, offset: index * SLOT_SIZE, size: name.startsWith("XMM") ? 16 : 8 },
      ...{ computed: false, writable: false },
    }));
  }

  cpuState(cpuIndex: number): ArrayBuffer | undefined {
    const registers = this.#saved[cpuIndex];
    if (!registers) return undefined;
    const words = new BigUint64Array((this.#names.length * SLOT_SIZE) / 8);
    this.#names.forEach((name, index) => {
      const value = registers.get(name) ?? 0n;
      words[index * 2] = value;
      words[index * 2 + 1] = value >> 64n;
    });
    return words.buffer;
  }

  readRegister(cpuIndex: number, id: number): bigint | undefined {
    return this.#saved[cpuIndex]?.get(this.#names[id] ?? "");
  }

  readPhysical(address: bigint, into: Uint8Array): MemoryResult {
    for (let done = 0; done < into.length;) {
      const at = address + BigInt(done);
      const part = Math.min(into.length - done, PAGE - Number(at & 0xfffn));
      const bytes = at < 1n << 52n ? this.#ram.findBytes(Number(at), part) : undefined;
      if (!bytes) {
        this.#lastFault = at;
        return MemoryResult.NotRam;
      }
      into.set(bytes, done);
      done += part;
    }
    return MemoryResult.Ok;
  }

  readVirtual(_cpuIndex: number, pgd: bigint, address: bigint, into: Uint8Array): MemoryResult {
    for (let done = 0; done < into.length;) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const physical = this.translate(0, pgd, at);
      if (physical === undefined) {
        this.#lastFault = at;
        return MemoryResult.Unmapped;
      }
      const part = Math.min(into.length - done, PAGE - Number(at & 0xfffn));
      const result = this.readPhysical(physical, into.subarray(done, done + part));
      if (result !== MemoryResult.Ok) return result;
      done += part;
    }
    return MemoryResult.Ok;
  }

  translate(_cpuIndex: number, pgd: bigint, address: bigint): bigint | undefined {
    const tables = this.#findTables();
    if (!tables) return undefined;
    const physical = tables.translate(kernelTablesOf(tables, pgd), address);
    return physical < 0 ? undefined : BigInt(physical);
  }

  lastFault(): bigint {
    return this.#lastFault;
  }

  ramRegions(): NativeRamRegion[] {
    return this.memory.map(({ address, bytes }) => ({
      ...{
        address: BigInt(address),
        buffer: bytes.buffer as ArrayBuffer,
        hostAddress: 0n,
        readOnly: true,
        isMain: true,
      },
    }));
  }

  currentPgd(cpuIndex: number): bigint {
    const facts = this.cpus();
    const cpu = facts.find(({ index }) => index === cpuIndex) ?? facts[0];
    const tables = this.#findTables();
    if (!cpu || !tables) return 0n;
    return BigInt(kernelTablesOf(tables, cpu.cr3));
  }

  isMonitored(): boolean {
    return false;
  }

  writeRegister(): never {
    throw this.#refuse();
  }

  writeSegment(): never {
    throw this.#refuse();
  }

  writePhysical(): never {
    throw this.#refuse();
  }

  writeVirtual(): never {
    throw this.#refuse();
  }

  #refuse(): ImageError {
    return new ImageError(`${this.path} is an image of a machine's memory: it can be read only`);
  }

  #findTables(): PageTables | undefined {
    const [cpu] = this.cpus();
    const mode = cpu && findPagingMode(cpu);
    return mode && new PageTables(this.#ram, mode);
  }
}

/** The selector of the code segment says at which level the vCPU executes, when no note does. */
function addPrivilege(registers: ReadonlyMap<string, bigint>): ReadonlyMap<string, bigint> {
  const segment = registers.get("CS");
  if (segment === undefined || registers.has("CPL")) return registers;
  return new Map([...registers, ["CPL", segment & 3n]]);
}
