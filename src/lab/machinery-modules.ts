import { parse } from "node:path";
import { findAncestorName } from "../config/ancestor-names";
import type { Doors } from "../scripts/loading/doors";
import { ScriptError } from "../scripts/errors";
import { describeThrown } from "../scripts/script-stack";
import { loadTrustedFile } from "../scripts/loading/trusted-file";
import { CuckooAdapter, CuckooMachinery } from "./machinery/cuckoo-machinery";
import { LibVirtMachinery } from "./machinery/drivers/libvirt/libvirt-machinery";
import { MachineryModuleError } from "./errors";
import { Machinery } from "./machinery/machinery";

/** The folder of the users' modules. */
export const MODULE_FOLDER = "modules/machinery";

const CUCKOO_METHODS = ["start", "stop"] as const;
const MACHINERY_METHODS = ["restoreStart", "stop", "state"] as const;

/** The methods of both styles that rebox calls. */
const CALLED_METHODS = [
  ...["restoreStart", "norestoreStart", "acpiStop", "dumpMemory", "handlePaused", "loadMachines", "verifyDependencies"],
  ...[
    "openConsole",
    "isConsoleTaken",
    "openScreen",
    "insertDisc",
    "removeDisc",
    "callGuestAgent",
    "typeKeys",
    "findFailure",
    "startToFreeze",
    "getGoldenOrigin",
  ],
  ...["takeSnapshot", "listSnapshots", "removeSnapshot"],
];

type Constructor = new () => object;

/**
 * Loads one module: a TypeScript file that exports one class.
 *
 * @param file its absolute path
 * @param api what it can import of rebox
 * @throws MachineryModuleError saying what is missing
 */
export async function loadMachineryModule(file: string, api: Doors): Promise<Machinery> {
  const name = parse(file).name.toLowerCase();
  const exports = await evaluate(file, name, api);
  const classes = [...new Set(Object.values(exports).filter((value): value is Constructor => isClass(value)))];
  const own = classes.filter((type) => isMachinery(type) && type !== Machinery && type !== CuckooMachinery);
  if (own.length === 0) {
    const found =
      classes.length === 0 ? "no class" : `no such class, only ${classes.map((type) => type.name).join(", ")}`;
    throw new MachineryModuleError(
      `${file}: it must export a class that extends Machinery, CuckooMachinery or LibVirtMachinery; it exports ${found}`,
    );
  }
  if (own.length > 1) {
    throw new MachineryModuleError(`${file}: it exports ${own.map((type) => type.name).join(" and ")}; one is wanted`);
  }
  return create(file, name, own[0]!);
}

function create(file: string, name: string, type: Constructor): Machinery {
  const isCuckoo = type.prototype instanceof CuckooMachinery;
  const methods = type.prototype as Readonly<Record<string, unknown>>;
  const missing = (isCuckoo ? CUCKOO_METHODS : MACHINERY_METHODS).filter((each) => typeof methods[each] !== "function");
  const renamed = listRenamed(type);
  if (missing.length > 0) {
    // Cuckoo's and CAPE's own class with start() and stop() is called Machinery, too.
    const isOther = !isCuckoo && typeof methods["start"] === "function" && missing.includes("restoreStart");
    const hint = isOther ? "; a class with start(label) and stop(label) extends CuckooMachinery" : "";
    throw new MachineryModuleError(
      `${file}: ${type.name} has no ${missing.map((each) => `${each}()`).join(" and no ")}${hint || renamed.map((each) => `; ${each}`).join("")}`,
    );
  }
  if (renamed.length > 0) throw new MachineryModuleError(`${file}: ${type.name}: ${renamed.join("; ")}`);
  let module: object;
  try {
    module = new type();
  } catch (error) {
    throw new MachineryModuleError(`${file}: making a ${type.name} failed: ${describeThrown(error)}`);
  }
  if (module instanceof CuckooMachinery) return new CuckooAdapter(name, module);
  const machinery = module as Machinery;
  if (machinery instanceof LibVirtMachinery && machinery.name === "") Object.assign(machinery, { name });
  if (machinery.name === "") {
    throw new MachineryModuleError(`${file}: ${type.name} has no name, so it is not loaded; give it name = "${name}"`);
  }
  if (!/^[\w-]+$/.test(machinery.name)) {
    throw new MachineryModuleError(`${file}: ${JSON.stringify(machinery.name)} is no name for a configuration file`);
  }
  Object.assign(machinery, { name: machinery.name.toLowerCase() });
  return machinery;
}

/** Lists methods that have the Python name of one that is called here: nobody would call them. */
function listRenamed(type: Constructor): string[] {
  const found: string[] = [];
  for (
    let prototype: object | null = type.prototype as object;
    prototype !== null;
    prototype = Object.getPrototypeOf(prototype) as object | null
  ) {
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const here = findAncestorName(name, CALLED_METHODS);
      if (here !== undefined && CALLED_METHODS.includes(here)) found.push(`${name}() is ${here}() here`);
    }
  }
  return found;
}

async function evaluate(file: string, name: string, api: Doors): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await loadTrustedFile(file, name, api)).exports;
  } catch (error) {
    if (error instanceof ScriptError) throw new MachineryModuleError(error.message);
    throw new MachineryModuleError(`${file}: ${describeThrown(error)}`);
  }
}

function isClass(value: unknown): boolean {
  return typeof value === "function" && typeof value.prototype === "object" && value.prototype !== null;
}

function isMachinery(type: Constructor): boolean {
  return type.prototype instanceof Machinery || type.prototype instanceof CuckooMachinery;
}
