import { KernelDataError } from "../../errors";
import { LONGEST_LIST } from "../../structs/kernel-list";
import type { LinuxKernel } from "./linux-kernel";

/** A balanced tree of 4 Mi entries has at most twice as many levels as 4 Mi has bits. */
const DEEPEST = 64;

/**
 * Walks a red-black tree in order, from its leftmost entry on.
 *
 * @param root the address of its struct rb_root
 * @param what for errors: "the mounts of a namespace"
 * @param offset of the rb_node within an entry
 * @returns the addresses of the entries
 * @throws KernelDataError when the tree is deeper or larger than any can be, as one that loops is
 */
export function* walkTree(kernel: LinuxKernel, root: bigint, what: string, offset: number): Iterable<bigint> {
  const left = BigInt(kernel.offset("rb_node", "rb_left"));
  const right = BigInt(kernel.offset("rb_node", "rb_right"));
  const read = (address: bigint): bigint => {
    try {
      return kernel.memory.pointer(address);
    } catch (error) {
      throw KernelDataError.from(error, what, address);
    }
  };
  const path: bigint[] = [];
  const seen = new Set<bigint>();
  let at = read(root + BigInt(kernel.offset("rb_root", "rb_node")));
  while (at !== 0n || path.length > 0) {
    while (at !== 0n) {
      if (path.length >= DEEPEST || seen.has(at) || seen.size >= LONGEST_LIST) {
        throw new KernelDataError(what, at, "the tree loops or is deeper than it can be");
      }
      seen.add(at);
      path.push(at);
      at = read(at + left);
    }
    const node = path.pop() as bigint;
    yield node - BigInt(offset);
    at = read(node + right);
  }
}
