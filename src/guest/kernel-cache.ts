import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getCacheFolder } from "../config/folders";
import type { KernelMemory } from "../systems/linux/attach/kernel-facts";

const LARGEST = 1 << 20;
const MOST_FILES = 8;

/** Keeps facts of kernels in the user's cache folder, one small file for each kernel. */
export class KernelCache implements KernelMemory {
  readonly #folder = getCacheFolder("kernels");

  find(entry: string): readonly string[] {
    try {
      return readdirSync(this.#folder)
        .filter((name) => name.startsWith(`${entry}-`) && name.endsWith(".json"))
        .slice(0, MOST_FILES)
        .map((name) => readFileSync(join(this.#folder, name), "utf8"))
        .filter((text) => text.length <= LARGEST);
    } catch {
      return [];
    }
  }

  save(entry: string, buildId: string, facts: string): void {
    try {
      mkdirSync(this.#folder, { recursive: true });
      const path = join(this.#folder, `${entry}-${buildId}.json`);
      // Others may read it meanwhile.
      writeFileSync(`${path}.${process.pid}`, facts);
      renameSync(`${path}.${process.pid}`, path);
    } catch {
      // A cache folder that cannot be written costs time only.
    }
  }
}
