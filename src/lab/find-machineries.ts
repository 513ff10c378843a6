import { join } from "node:path";
import { listModuleFiles } from "../scripts/module-files";
import { MachineryModuleError } from "./errors";
import { loadMachineryModule, MODULE_FOLDER } from "./machinery-modules";
import type { Doors } from "../scripts/loading/doors";
import { KvmMachinery, LibVirtUriMachinery } from "./machinery/drivers/libvirt/libvirt-machinery";
import { QemuMachinery } from "./machinery/drivers/qemu/qemu-machinery";
import { ReboxMachinery } from "./machinery/drivers/rebox/rebox-machinery";
import type { Machinery } from "./machinery/machinery";

export interface FoundMachineries {
  /** By their names. */
  readonly machineries: ReadonlyMap<string, Machinery>;
  /** Modules that cannot be used; the others can. */
  readonly errors: readonly MachineryModuleError[];
}

/**
 * Finds the machineries that a lab can use: those of rebox, and the user's modules.
 *
 * @param labFolder absolute
 * @param api what modules can import of rebox
 */
export async function findMachineries(labFolder: string, api: Doors): Promise<FoundMachineries> {
  const machineries = new Map(createShippedMachineries().map((machinery) => [machinery.name, machinery]));
  const errors: MachineryModuleError[] = [];
  const files = new Map<string, string>();
  for (const file of listModuleFiles(join(labFolder, MODULE_FOLDER))) {
    try {
      const machinery = await loadMachineryModule(file, api);
      const { name } = machinery;
      if (machineries.has(name)) {
        const other = files.get(name) ?? "rebox itself";
        throw new MachineryModuleError(`${file}: the name ${name} is taken by ${other}; give it another`);
      }
      machineries.set(name, machinery);
      files.set(name, file);
    } catch (error) {
      if (!(error instanceof MachineryModuleError)) throw error;
      errors.push(error);
    }
  }
  return { machineries, errors };
}

/** Makes one of each machinery that comes with rebox. */
export function createShippedMachineries(): Machinery[] {
  return [new ReboxMachinery(), new QemuMachinery(), new KvmMachinery(), new LibVirtUriMachinery()] as Machinery[];
}
