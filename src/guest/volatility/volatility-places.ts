import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getCacheFolder, getProjectFolder } from "../../config/folders";

/** The file that pins Volatility and what it needs, with the hashes of its packages. */
export function requirementsFile(): string {
  return join(getProjectFolder(), "native/setup/volatility-requirements.txt");
}

/** The folder with rebox's own layers, and table of symbols, for Volatility. */
export function layerFolder(): string {
  return join(getProjectFolder(), "src/guest/volatility/python");
}

/** The folder in which everything of Volatility's is kept between runs. */
export function cacheFolder(): string {
  return getCacheFolder("volatility");
}

/** The virtual environment of the pinned version: another version has another folder. */
export function environmentFolder(): string {
  const hash = createHash("sha256").update(readFileSync(requirementsFile())).digest("hex").slice(0, 16);
  return join(cacheFolder(), `venv-${hash}`);
}

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
