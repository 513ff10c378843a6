import { ask } from "./messages";

/**
 * Creates the module of a script that this one requires: its exports, each asked for when it is used. What crosses is
 * copied, since each script has a realm of its own.
 *
 * @param file the absolute path of the required script
 */
export function createRequired(file: string): object {
  const module: object = Object.defineProperty({}, "__esModule", { value: true });
  const define = (name: string, get: () => unknown) => Object.defineProperty(module, name, { enumerable: true, get });
  const names = ask("script.listRequired", file) as string[];
  for (const name of names) define(name, () => readRequired(file, name));
  if (!names.includes("default")) define("default", () => module);
  return module;
}

function readRequired(file: string, name: string): unknown {
  const answer = ask("script.readRequired", file, name) as readonly unknown[];
  if (answer[0] === "value") return answer[1];
  return (...args: unknown[]) => ask("script.callRequired", file, name, args);
}
