import { KernelDataError } from "../../errors";
import { LONGEST_LIST } from "../../structs/kernel-list";
import type { LinuxKernel } from "../structs/linux-kernel";
import { MapleTree } from "../structs/maple-tree";
import type { PathReader } from "../files/path-reader";
import type { StructCursor } from "../../structs/struct-cursor";

const PAGE_SHIFT = 12n;
/** include/linux/mm.h */
const VM_READ = 1n;
const VM_WRITE = 2n;
const VM_EXEC = 4n;
const VM_MAYSHARE = 0x80n;
/** The last of the modes of vsyscall: EMULATE, XONLY, NONE. */
const VSYSCALL_NONE = 2;
/** MM_CONTEXT_HAS_VSYSCALL, arch/x86/include/asm/mmu.h */
const HAS_VSYSCALL = 2n;

/** A range of a process' memory, as a line of /proc/PID/maps. */
export interface Mapping {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
  /** As "r-xp": read, write, execute, then private or shared. */
  readonly permissions: string;
  /** In the file; 0 without one. */
  readonly offset: bigint;
  /** The file's path, a name such as "[heap]", or empty. */
  readonly path: string;
  /** The address of its struct file; 0 without one. */
  readonly file: bigint;
  /** The address of its vm_area_struct. */
  readonly kaddr: bigint;
}

/** Reads which memory a process has. */
export class MemoryMapReader {
  readonly #kernel: LinuxKernel;
  readonly #paths: PathReader;
  readonly #tree: MapleTree | undefined;
  /** Paths by struct file, of one list: a library is mapped in several pieces, and the guest is paused in the meantime. */
  readonly #known = new Map<bigint, string>();

  /** @throws MissingTypeError */
  constructor(kernel: LinuxKernel, paths: PathReader) {
    this.#kernel = kernel;
    this.#paths = paths;
    this.#tree = kernel.findMember("mm_struct", "mm_mt") ? new MapleTree(kernel) : undefined;
  }

  /**
   * Lists the mappings of an address space in the order of their addresses.
   *
   * @param mm the address of its mm_struct
   * @param isExecutable lists only those that can be executed, which are few
   * @throws KernelDataError when they are damaged
   */
  read(mm: bigint, isExecutable = false): Mapping[] {
    this.#paths.renew();
    this.#known.clear();
    const space = this.#kernel.at("mm_struct", mm);
    const areas = this.#tree ? this.#tree.entries(space.addressOf("mm_mt")) : this.#walkList(space);
    const wanted = isExecutable ? areas.filter((area) => this.#isExecutable(area)) : areas;
    const map = wanted.map((area) => this.#readArea(area, space));
    const gate = this.#findGate(space);
    return gate === undefined ? map : [...map, { ...this.#readArea(gate, space), path: "[vsyscall]" }];
  }

  #isExecutable(address: bigint): boolean {
    try {
      return (this.#kernel.at("vm_area_struct", address).value("vm_flags") & VM_EXEC) !== 0n;
    } catch (error) {
      throw KernelDataError.from(error, "a vm_area_struct", address);
    }
  }

  /** The page of old system calls, which belongs to no process (arch/x86/entry/vsyscall/vsyscall_64.c). */
  #findGate(space: StructCursor): bigint | undefined {
    const mode = this.#kernel.findSymbol("vsyscall_mode");
    if (mode === undefined || this.#kernel.memory.u32(mode) === VSYSCALL_NONE) return undefined;
    const flags = space.value("context.flags");
    return (flags & HAS_VSYSCALL) === 0n ? undefined : this.#kernel.findSymbol("gate_vma");
  }

  /** Before 6.1 the areas are a list, and a tree beside it. */
  #walkList(space: StructCursor): bigint[] {
    const found = new Set<bigint>();
    let area = space.follow("mmap");
    while (area) {
      if (found.has(area.address) || found.size > LONGEST_LIST) {
        throw new KernelDataError("the list of mappings", area.address, "the list loops");
      }
      found.add(area.address);
      area = area.follow("vm_next");
    }
    return [...found];
  }

  #readArea(address: bigint, space: StructCursor): Mapping {
    try {
      return this.#readFields(address, space);
    } catch (error) {
      throw KernelDataError.from(error, "a vm_area_struct", address);
    }
  }

  #readFields(address: bigint, space: StructCursor): Mapping {
    const area = this.#kernel.at("vm_area_struct", address);
    const start = area.value("vm_start");
    const end = area.value("vm_end");
    const flags = area.value("vm_flags");
    const file = area.value("vm_file");
    const letter = (flag: bigint, text: string): string => ((flags & flag) !== 0n ? text : "-");
    return {
      start,
      end,
      permissions:
        letter(VM_READ, "r") +
        letter(VM_WRITE, "w") +
        letter(VM_EXEC, "x") +
        ((flags & VM_MAYSHARE) !== 0n ? "s" : "p"),
      offset: file === 0n ? 0n : area.value("vm_pgoff") << PAGE_SHIFT,
      path: file === 0n ? this.#name(area, space, start, end) : this.#readPath(file),
      file,
      kaddr: address,
    };
  }

  #readPath(file: bigint): string {
    let path = this.#known.get(file);
    if (path === undefined) this.#known.set(file, (path = this.#paths.readFile(file)));
    return path;
  }

  /** fs/proc/task_mmu.c: show_map_vma() */
  #name(area: StructCursor, space: StructCursor, start: bigint, end: bigint): string {
    const special = this.#kernel.findSymbol("special_mapping_vmops");
    if (special !== undefined && area.value("vm_ops") === special) {
      const mapping = area.value("vm_private_data");
      return this.#kernel.at("vm_special_mapping", mapping).text(64, "name");
    }
    if (start <= space.value("brk") && end >= space.value("start_brk")) return "[heap]";
    const stack = space.value("start_stack");
    if (start <= stack && end >= stack) return "[stack]";
    const named = area.has("anon_name") ? area.value("anon_name") : 0n;
    if (named === 0n) return "";
    return `[anon:${this.#kernel.at("anon_vma_name", named).text(80, "name")}]`;
  }
}
