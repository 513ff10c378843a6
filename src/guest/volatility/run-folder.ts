import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./volatility-places";

const NAME = /^run-(\d+)-/;

/** A folder of one run of Volatility, with its configuration and whatever it puts into TMPDIR. */
export class RunFolder {
  private constructor(readonly path: string) {}

  /**
   * Makes the folder, and removes those whose process was ended before it could.
   *
   * @throws Error of the system
   */
  static create(): RunFolder {
    const parent = join(cacheFolder(), "runs");
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(parent)) {
      const pid = Number(NAME.exec(name)?.[1] ?? 0);
      if (pid !== 0 && !isAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true });
    }
    return new RunFolder(mkdtempSync(join(parent, `run-${process.pid}-`)));
  }

  /** Writes a file of this run. @throws Error of the system */
  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 3 });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
