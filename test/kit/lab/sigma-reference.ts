import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { getCacheFolder } from "../../../src/config/folders";
import { PROJECT } from "../project";

const HASH = createHash("sha256").update(readFileSync(join(PROJECT, "native/setup/sigma-requirements.txt")));
const PYTHON = join(getCacheFolder(), `sigma/venv-${HASH.digest("hex").slice(0, 16)}/bin/python3`);

export const NEEDS_SIGMA_REFERENCE = existsSync(PYTHON) ? false : "set-up has not installed pySigma";

/** A rule as its YAML would be, and events that it is asked about. */
export interface SigmaCase {
  readonly rule: object;
  readonly events: readonly Readonly<Record<string, string | number | undefined>>[];
}

/** Tells for each case which of its events fit, by pySigma and SQLite. */
export function askSigmaReference(cases: readonly SigmaCase[]): boolean[][] {
  const program = join(PROJECT, "test/kit/lab/sigma_reference.py");
  const { status, stdout, stderr } = spawnSync(PYTHON, [program], {
    ...{ input: JSON.stringify(cases), encoding: "utf8", maxBuffer: 1 << 28 },
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as boolean[][];
}
