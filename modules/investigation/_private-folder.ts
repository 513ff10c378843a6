import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What is the guest's is written to memory only: to a folder of a tmpfs, which is gone with the run. */
const TMPFS_MAGIC = 0x01021994;
const FOLDERS = [process.env.XDG_RUNTIME_DIR, "/dev/shm", "/run", "/tmp"];

/** A folder that only its owner sees, in memory; it goes also when this process ends. */
export class PrivateFolder {
  readonly #path: string;
  readonly #onExit = (): void => this.remove();

  constructor() {
    const parent = FOLDERS.find((path) => path !== undefined && isInMemory(path));
    if (parent === undefined) throw new Error("there is no tmpfs for what is the guest's: mount one at /dev/shm");
    this.#path = mkdtempSync(join(parent, "rebox-yara-"));
    process.on("exit", this.#onExit);
  }

  write(name: string, text: string): string {
    const file = join(this.#path, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  remove(): void {
    process.off("exit", this.#onExit);
    rmSync(this.#path, { recursive: true, force: true });
  }
}

function isInMemory(path: string): boolean {
  try {
    return statfsSync(path).type === TMPFS_MAGIC;
  } catch {
    return false;
  }
}
