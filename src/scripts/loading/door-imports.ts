import type { Message, Plugin } from "esbuild";
import { findAncestorName } from "../../config/ancestor-names";
import { findNearestName } from "../../config/nearest-name";
import { type Door, type Doors, DOORS, findDoor, listDoorNames } from "./doors";

const NAMESPACE = "rebox-door";
const MISSING = new RegExp(
  `^No matching export in "${NAMESPACE}:(.+?)" for import "(.+)"$|` +
    `^Import "(.+)" will always be undefined because there is no matching export in "${NAMESPACE}:(.+?)"$`,
);
const HOW_TO_TRUST = "to trust the script: --trust, or * for it in [PERMISSIONS] of pyrebox.conf";

/**
 * Creates the esbuild plugin behind `import ... from "rebox"` and from the other doors: each is a module in the bundle that
 * exports exactly the names of the door, so that a name which is not there is found when the script is compiled.
 *
 * @param isTrusted false: the script has "rebox" alone
 */
export function createDoorImports(doors: Doors, isTrusted: boolean): Plugin {
  return {
    name: "rebox-door-imports",
    setup(build) {
      build.onResolve({ filter: /^rebox(\/|$)/ }, ({ path, namespace, kind }) => {
        if (namespace === NAMESPACE) return { path, external: true };
        if (!isDoor(path)) return { errors: [{ text: `there is no "${path}"; there are ${quoteList(DOORS)}` }] };
        if (!isTrusted && path !== "rebox") {
          return {
            errors: [
              { text: `"${path}" is for trusted scripts; a script in the sandbox has "rebox" alone; ${HOW_TO_TRUST}` },
            ],
          };
        }
        return { path, namespace: NAMESPACE, suffix: kind === "require-call" ? "?require" : "" };
      });
      build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ path, suffix }) => {
        const door = path as Door;
        return { contents: suffix === "" ? exportNames(doors, door) : exportAll(doors, door, isTrusted), loader: "js" };
      });
    },
  };
}

/** Returns whether an input of a bundle is a door and no file. */
export function isDoorInput(input: string): boolean {
  return input.startsWith(`${NAMESPACE}:`);
}

/**
 * Explains what esbuild says of a name that a door does not export.
 *
 * @returns undefined when the message is about something else
 */
export function findMissingName(message: Message, doors: Doors, isTrusted: boolean): string | undefined {
  const [, door1, name1, name2, door2] = MISSING.exec(message.text) ?? [];
  const [door, name] = [door1 ?? door2, name1 ?? name2];
  return door === undefined || name === undefined ? undefined : explain(name, door as Door, doors, isTrusted);
}

function explain(name: string, door: Door, doors: Doors, isTrusted: boolean): string {
  const other = findDoor(doors, name);
  if (other !== undefined) {
    return isTrusted ? `${name} comes from "${other}", not from "${door}"` : refuse(name, other);
  }
  const all = DOORS.flatMap((each) => listDoorNames(doors, each));
  const renamed = findAncestorName(name, all);
  if (renamed !== undefined) {
    // A type is no value of any door.
    const home = findDoor(doors, renamed.split(".")[0]!) ?? door;
    return `"${door}" exports no ${name}; did you mean ${renamed}${home === door ? "" : `, from "${home}"`}?`;
  }
  const nearest = findNearestName(name, listDoorNames(doors, door));
  return `"${door}" exports no ${name}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`;
}

function refuse(name: string, door: Door): string {
  return `${name} is for trusted scripts: it comes from "${door}", which a script in the sandbox does not have; ${HOW_TO_TRUST}`;
}

function exportNames(doors: Doors, door: Door): string {
  return `export const { ${listDoorNames(doors, door).join(", ")} } = require("${door}");`;
}

/** For require(), whose names show only when the script runs: those of other doors are properties that throw. */
function exportAll(doors: Doors, door: Door, isTrusted: boolean): string {
  if (isTrusted) return `module.exports = require("${door}");`;
  const refused = DOORS.filter((other) => other !== door).flatMap((other) =>
    listDoorNames(doors, other).map((name) => [name, refuse(name, other)]),
  );
  return `
    module.exports = { ...require("${door}") };
    for (const [name, text] of ${JSON.stringify(refused)}) {
      Object.defineProperty(module.exports, name, { configurable: true, get() { throw new TypeError(text); } });
    }`;
}

function isDoor(path: string): path is Door {
  return (DOORS as readonly string[]).includes(path);
}

function quoteList(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
