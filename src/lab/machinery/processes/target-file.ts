import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { MachineryError } from "../../errors";

/** Returns the absolute path of a file that is to be made. @throws MachineryError when it exists, or its folder does not */
export function checkTarget(path: string): string {
  const target = resolve(path);
  if (existsSync(target)) throw new MachineryError(`${target} exists already; name a file that does not`);
  if (!existsSync(dirname(target))) throw new MachineryError(`there is no folder ${dirname(target)}; make it first`);
  return target;
}
