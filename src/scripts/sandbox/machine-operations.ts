import { Engine } from "../../machine/engine/engine";
import { getCpus, REGISTER_ALIASES } from "../../machine/state/cpu";
import { MemoryError } from "../../machine/state/memory-error";
import type { FileAccess } from "./file-access";
import type { Caller, Operations } from "./operation";
import { CALLED, checkArguments, CONCERNS_OTHERS, PROMISED } from "./sandbox-api";

/** Those whose only argument is the path of a file that they write. */
const WRITES_FILE = ["screenshot", "writeGuestTypes", "writeIsf"];

/** Creates what is behind the functions of "rebox" that are called by value, and what the sandbox's own need. */
export function createMachineOperations(
  caller: Caller,
  api: Readonly<Record<string, unknown>>,
  files: FileAccess,
  mayUseModules: boolean,
): Operations {
  const functions = Object.entries({ ...CALLED, ...PROMISED }).map(([name, signature]) => [
    `api.${name}`,
    (...args: unknown[]) => {
      checkArguments(name, signature, args);
      if (CONCERNS_OTHERS.includes(name)) caller.demand(mayUseModules, `${name}()`, "modules");
      const given = WRITES_FILE.includes(name) ? [files.getPath(String(args[0]))] : args.slice(0, signature.length);
      return (api[name] as (...args: unknown[]) => unknown)(...given);
    },
  ]);
  return {
    ...(Object.fromEntries(functions) as Operations),
    writeRegister: (...args) => {
      checkArguments("writeRegister", CALLED["writeRegister"] ?? [], args);
      (api["writeRegister"] as (...args: unknown[]) => unknown)(...args);
    },
    cpus: () => ({
      count: getCpus().length,
      registers: Engine.get().native.registers(),
      aliases: Object.entries(REGISTER_ALIASES).map(([name, { of, mask }]) => [name, of, mask === 0xffffffffn]),
    }),
    describeMemoryError: (result, address, pgd) =>
      new MemoryError(Number(result), address as bigint, pgd as bigint | undefined).message,
    now: () => performance.now(),
  };
}
