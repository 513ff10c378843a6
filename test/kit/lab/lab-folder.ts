import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { doors } from "../../../src/doors/doors";
import { checkLab } from "../../../src/lab/check-lab";
import { Lab } from "../../../src/lab/lab";

/** A lab of files only. */
export interface FolderLab {
  readonly folder: string;
  path(name: string): string;
  read(name: string): string;
  write(name: string, text: string | Buffer): void;
  open(): Promise<Lab>;
  /** Returns every mistake, warning and unusable module of its configuration, without the lab's folder. */
  check(): Promise<{
    readonly errors: readonly string[];
    readonly warnings: readonly string[];
    readonly failures: readonly string[];
  }>;
}

/** Makes a lab with the given files, and removes it when the test is done. */
export async function withFolder(
  files: Readonly<Record<string, string | Buffer>>,
  use: (lab: FolderLab) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-lab-"));
  const path = (name: string) => join(folder, name);
  const write = (name: string, text: string | Buffer) => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), text);
  };
  const strip = (text: unknown) => String(text).replaceAll(`${folder}/`, "");
  mkdirSync(path("conf"));
  for (const [name, text] of Object.entries(files)) write(name, text);
  try {
    await use({
      ...{ folder, path, write },
      read: (name) => readFileSync(path(name), "utf8"),
      open: () => Lab.open(folder, { api: doors, pollMs: 5 }),
      check: async () => {
        const { problems, failures } = await checkLab(folder, doors);
        return {
          errors: problems.errors.map(({ message }) => strip(message)),
          warnings: problems.warnings.map(strip),
          failures: failures.map(strip),
        };
      },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A machinery module of the user's that keeps its machines in memory. */
export const MODULE = `
import { Machinery, z, type LabMachine, type MachineState } from "rebox/lab";
const SETTINGS = { power: z.int().min(1).max(5).default(3).describe("How strong it is.") };
export class Mine extends Machinery<typeof SETTINGS> {
  readonly name = "mine";
  readonly description = "Machines of mine.";
  readonly settings = SETTINGS;
  private readonly on = new Set<string>();
  async restoreStart(machine: LabMachine): Promise<void> {
    this.on.add(machine.label);
  }
  async stop(machine: LabMachine): Promise<void> {
    this.on.delete(machine.label);
  }
  async state(machine: LabMachine): Promise<MachineState> {
    return this.on.has(machine.label) ? "running" : "poweroff";
  }
}
`;
