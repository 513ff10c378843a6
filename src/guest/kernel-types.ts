import { closeSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { getReboxVersion } from "../config/folders";
import { writeKernelIsf } from "../systems/linux/kernel-isf";
import type { LinuxGuest } from "../systems/linux/linux-guest";
import { declareTypes } from "../systems/symbols/type-declarations";
import { getGuest } from "./guest";

/**
 * Writes a symbol file for Volatility 3 (ISF) of the kernel that the guest runs: its types and symbols, and the types of the
 * kernel modules that are loaded now. Takes about a second, in which the guest is paused.
 *
 * @param file where it goes; when it cannot be written whole, nothing is left behind
 * @throws AttachError when no kernel is found
 * @throws Error of the system when the file cannot be written
 */
export function writeIsf(file: string, guest: LinuxGuest = getGuest()): void {
  const pieces = writeKernelIsf({ kernel: guest.kernel, modules: guest.getKernelModules() }, getReboxVersion());
  const partial = `${file}.${process.pid}.partial`;
  const descriptor = openSync(partial, "wx", 0o644);
  try {
    try {
      for (const piece of pieces) writeWhole(descriptor, Buffer.from(piece));
    } finally {
      closeSync(descriptor);
    }
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

/** A disk that is nearly full takes part of what it is given, and refuses the rest. */
function writeWhole(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
}

/**
 * Writes a TypeScript declaration file of the structs of the guest's kernel: with it among the files of a script, an editor
 * completes `guest.struct("task_struct", address).mm`.
 *
 * @param file a path that ends in ".d.ts"; it is replaced
 * @throws AttachError when the guest runs no kernel that rebox knows
 * @throws Error when the file cannot be written
 */
export function writeGuestTypes(file: string): void {
  const { types, banner } = getGuest().kernel;
  const text = declareTypes(types, banner);
  // An editor may read it at any moment.
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
