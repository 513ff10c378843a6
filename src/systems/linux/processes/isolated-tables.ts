import { pageTableRoot, type PageTables } from "../../memory/page-tables";

/**
 * The distance from a process' page tables for the kernel to those for its own code, when the kernel isolates page tables
 * (PTI_USER_PGTABLE_BIT in arch/x86/include/asm/pgtable.h).
 */
const USER_TABLES = 0x1000;
/** So many processes do not change their tables at once. */
const ENOUGH_PROCESSES = 8;
/** The entries of the highest table that map the lower half of the address space: the process' own. */
const USER_ENTRIES = 256;

/**
 * Reports whether a process' page tables are two: the kernel's, and behind them those that run its own code, which map the
 * same in the process' half.
 *
 * @param root the physical address of the kernel's
 */
function areIsolated(tables: PageTables, root: number): boolean {
  if (tables.pointerSize !== 8 || (root & USER_TABLES) !== 0) return false;
  let mapped = 0;
  for (let index = 0; index < USER_ENTRIES; index++) {
    const here = tables.findEntry(root, index, 4)?.address;
    if (here !== tables.findEntry(root + USER_TABLES, index, 4)?.address) return false;
    if (here !== undefined) mapped++;
  }
  return mapped > 0;
}

/**
 * Gets the page tables by which a process is known, from any value that CR3 has while it runs: with a PCID, and as the tables
 * that run its own code where the kernel isolates page tables.
 *
 * @returns their physical address
 */
export function kernelTablesOf(tables: PageTables, cr3: bigint): number {
  const root = pageTableRoot(cr3, tables.mode);
  const isUsers = (root & USER_TABLES) !== 0 && areIsolated(tables, root - USER_TABLES);
  return isUsers ? root - USER_TABLES : root;
}

/**
 * Finds the bits of CR3 that differ between the two page tables of one process.
 *
 * @param roots the page tables of processes, for the kernel
 * @returns 0n when the kernel does not isolate page tables; undefined when there are too few to tell
 */
export function findIsolationBits(tables: PageTables, roots: readonly number[]): bigint | undefined {
  if (roots.some((root) => areIsolated(tables, root))) return BigInt(USER_TABLES);
  return roots.length >= ENOUGH_PROCESSES ? 0n : undefined;
}
