import type { WindowsKernel } from "../kernel/windows-kernel";

/** Deeper keys there are not: Windows allows 512 levels. */
const MOST_LEVELS = 512;
const LONGEST_NAME = 512;

/**
 * Reads the path of an open key by the kernel's own blocks of it and the keys above it, which are in memory as long as it is open.
 *
 * @param body the address of its _CM_KEY_BODY
 * @returns as "\\REGISTRY\\MACHINE\\SYSTEM"; empty where the object is no key
 * @throws AddressError when a block cannot be read
 */
export function readKeyPath(kernel: WindowsKernel, body: bigint): string {
  if (!kernel.findCompound("_CM_KEY_BODY")) return "";
  const names: string[] = [];
  let block = kernel.at("_CM_KEY_BODY", body).follow("KeyControlBlock");
  while (block && names.length < MOST_LEVELS) {
    names.push(readName(kernel, block.value("NameBlock")));
    block = block.follow("ParentKcb");
  }
  return names.length === 0 ? "" : `\\${names.reverse().join("\\")}`;
}

function readName(kernel: WindowsKernel, address: bigint): string {
  if (address === 0n) return "";
  const block = kernel.at("_CM_NAME_CONTROL_BLOCK", address);
  const length = Math.min(block.number("NameLength"), LONGEST_NAME);
  const bytes = kernel.memory.readSome(block.addressOf("Name"), length);
  // A name whose letters all are of one byte is kept so.
  const isNarrow = block.value("Compressed") !== 0n;
  return isNarrow ? bytes.toString("latin1") : bytes.toString("utf16le", 0, bytes.length - (bytes.length % 2));
}
