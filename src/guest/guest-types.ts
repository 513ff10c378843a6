import { renameSync, writeFileSync } from "node:fs";
import { declareTypes } from "../systems/symbols/type-declarations";
import { getGuest } from "./guest";

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
