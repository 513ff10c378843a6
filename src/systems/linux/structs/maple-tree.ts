import { KernelDataError } from "../../errors";
import type { LinuxKernel } from "./linux-kernel";

const WHAT = "a maple tree";
/** A tree of the kernel has at most 31 levels (MAPLE_HEIGHT_MAX). */
const DEEPEST = 31;
/** vm.max_map_count can be raised, but nobody has a million mappings. */
const MOST_ENTRIES = 1_000_000;
const MOST_NODES = 1_000_000;
/** A reference to a node: its address in the high bits, its type in bits 3 to 6 (lib/maple_tree.c). */
const NODE_MASK = 0xffn;
const TYPE_SHIFT = 3n;
const TYPE_MASK = 0xfn;
/** Values that are not pointers have one of the two lowest bits (include/linux/xarray.h). */
const INTERNAL_MASK = 3n;
const INTERNAL = 2n;

interface NodeShape {
  readonly pivots: number;
  readonly pivotCount: number;
  readonly slots: number;
  readonly slotCount: number;
}

/** Reads the kernel's maple trees, which hold the mappings of a process since 6.1. */
export class MapleTree {
  readonly #kernel: LinuxKernel;
  readonly #root: number;
  readonly #shapes: readonly (NodeShape | undefined)[];

  /** @throws MissingTypeError when the kernel has no maple trees */
  constructor(kernel: LinuxKernel) {
    this.#kernel = kernel;
    this.#root = kernel.offset("maple_tree", "ma_root");
    const range = readShape(kernel, "maple_range_64");
    // The numbers of enum maple_type: dense, leaf_64, range_64, arange_64.
    this.#shapes = [undefined, range, range, readShape(kernel, "maple_arange_64")];
  }

  /**
   * Lists the entries that are pointers, in rising order of their indexes.
   *
   * @param tree the address of the struct maple_tree
   * @throws KernelDataError when the tree is damaged
   */
  entries(tree: bigint): bigint[] {
    const found: bigint[] = [];
    const seen = new Set<bigint>();
    try {
      const root = this.#kernel.memory.pointer(tree + BigInt(this.#root));
      if (isNode(root)) this.#collect(root, (1n << BigInt(this.#kernel.bits)) - 1n, 0, found, seen);
      else if (isPointer(root)) found.push(root);
    } catch (error) {
      throw KernelDataError.from(error, WHAT, tree);
    }
    return found;
  }

  #collect(reference: bigint, maximum: bigint, depth: number, found: bigint[], seen: Set<bigint>): void {
    const node = reference & ~NODE_MASK;
    const type = Number((reference >> TYPE_SHIFT) & TYPE_MASK);
    const shape = this.#shapes[type];
    if (!shape || depth > DEEPEST) throw new KernelDataError(WHAT, node, `a node of type ${type} at depth ${depth}`);
    if (seen.has(node) || seen.size >= MOST_NODES) throw new KernelDataError(WHAT, node, "the tree loops");
    seen.add(node);
    const { memory } = this.#kernel;
    const isLeaf = type === 1;
    for (let slot = 0; slot < shape.slotCount; slot++) {
      const pivot =
        slot < shape.pivotCount ? memory.pointer(node + BigInt(shape.pivots + slot * memory.pointerSize)) : maximum;
      // A pivot of 0 after the first slot, or at the node's end, says that this slot is the last.
      const isLast = (pivot === 0n && slot > 0) || pivot >= maximum;
      const entry = memory.pointer(node + BigInt(shape.slots + slot * memory.pointerSize));
      if (isLeaf) {
        if (isPointer(entry)) found.push(entry);
        if (found.length > MOST_ENTRIES) throw new KernelDataError(WHAT, node, `more than ${MOST_ENTRIES} entries`);
      } else if (entry !== 0n) {
        // Only the reference in the root is marked as one to a node.
        this.#collect(entry, isLast ? maximum : pivot, depth + 1, found, seen);
      }
      if (isLast) break;
    }
  }
}

function readShape(kernel: LinuxKernel, struct: string): NodeShape {
  const pivots = kernel.place(struct, "pivot");
  const slots = kernel.place(struct, "slot");
  const count = (type: typeof pivots.type): number => (type.kind === "array" ? Math.min(type.count, 256) : 0);
  return {
    pivots: pivots.offset,
    pivotCount: count(pivots.type),
    slots: slots.offset,
    slotCount: count(slots.type),
  };
}

function isNode(entry: bigint): boolean {
  return (entry & INTERNAL_MASK) === INTERNAL && entry > 4096n;
}

function isPointer(entry: bigint): boolean {
  return entry !== 0n && (entry & INTERNAL_MASK) === 0n;
}
