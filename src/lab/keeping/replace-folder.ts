import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { MachineryManagerError } from "../errors";

/** Behind the name of a folder that is being made, and of the one that it replaces: nobody else's are called so. */
const MAKING = ".rebox-new-";
const BEFORE = "before";

/**
 * Makes a folder anew, beside the one that is there, which stays as it is until the new one is whole.
 *
 * @param folder absolute
 * @param make fills the new folder
 * @throws MachineryManagerError for a folder that is a disk of its own: it cannot be replaced
 */
export async function replaceFolder<Result>(
  folder: string,
  make: (making: string) => Promise<Result>,
): Promise<Result> {
  const above = dirname(folder);
  mkdirSync(above, { recursive: true });
  if (existsSync(folder) && statSync(folder).dev !== statSync(above).dev)
    throw new MachineryManagerError(`${folder} is a disk of its own; name a folder on it`);
  for (const left of listLeft(folder)) rmSync(left, { recursive: true, force: true });
  const making = mkdtempSync(join(above, `.${basename(folder)}${MAKING}`));
  const before = `${making}-${BEFORE}`;
  try {
    const result = await make(making);
    if (existsSync(folder)) renameSync(folder, before);
    try {
      renameSync(making, folder);
    } catch (error) {
      if (existsSync(before)) renameSync(before, folder);
      throw error;
    }
    rmSync(before, { recursive: true, force: true });
    return result;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/**
 * Puts a folder back that was being replaced when rebox was killed.
 *
 * @param isWhole whether what was left is one
 */
export function recoverFolder(folder: string, isWhole: (left: string) => boolean): void {
  if (existsSync(folder)) return;
  const whole = listLeft(folder).filter((left) => isWhole(left));
  // The new one, where there are both.
  const found = whole.find((left) => !left.endsWith(`-${BEFORE}`)) ?? whole[0];
  if (found !== undefined) renameSync(found, folder);
}

function listLeft(folder: string): string[] {
  const above = dirname(folder);
  if (!existsSync(above)) return [];
  const start = `.${basename(folder)}${MAKING}`;
  return readdirSync(above).flatMap((name) => (name.startsWith(start) ? [join(above, name)] : []));
}
