import { Module } from "node:module";
import { basename } from "node:path";

/** The module that the map of rebox's own bundle belongs to: Node forgets the map with it. */
let mapped: Module | undefined;

/**
 * Has stacks show the places of the TypeScript, from now on. Node has a file's map read when it loads the file, and the file of
 * this function, which is rebox's bundle or its own compiled file, is loaded already: a module of the same name, with
 * nothing but the name of the map, makes up for that.
 */
export function showSourcePlaces(): void {
  if (mapped !== undefined) return;
  process.setSourceMapsEnabled(true);
  mapped = new Module(__filename);
  (mapped as Module & { _compile(code: string, file: string): void })._compile(
    `//# sourceMappingURL=${basename(__filename)}.map`,
    __filename,
  );
}
