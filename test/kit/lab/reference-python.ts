import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { getCacheFolder } from "../../../src/config/folders";
import { PROJECT } from "../project";

/** The environments that set-up makes of native/setup/NAME-requirements.txt. */
export type Reference = "sigma" | "export" | "api" | "karton";

/** Returns the Python of an environment. */
export function getPython(name: Reference): string {
  const requirements = readFileSync(join(PROJECT, `native/setup/${name}-requirements.txt`));
  const hash = createHash("sha256").update(requirements).digest("hex").slice(0, 16);
  return join(getCacheFolder(), `${name}/venv-${hash}/bin/python3`);
}

/** Tells whether a test can ask an environment: false, or why not. */
export function needReference(name: Reference): false | string {
  return existsSync(getPython(name)) ? false : `set-up has not installed native/setup/${name}-requirements.txt`;
}

/**
 * Asks a program of test/kit/lab, which reads JSON from standard input and writes JSON.
 *
 * @throws Error with what it says when it fails
 */
export function askReference(name: Reference, program: string, question: unknown): unknown {
  const { status, stdout, stderr } = spawnSync(getPython(name), [join(PROJECT, "test/kit/lab", program)], {
    ...{ input: JSON.stringify(question), encoding: "utf8", maxBuffer: 1 << 28 },
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
