import { findNearestName } from "../../config/nearest-name";
import { VolatilityError } from "../errors";
import type { VolatilityPlugin } from "./volatility-program";

/**
 * Finds the plugin that a name means: its whole name, or enough of its parts: linux.pslist.PsList, linux.pslist, pslist or PsList.
 * Plugins for Linux come before others, and shorter names before longer ones.
 *
 * @param unloaded the modules of plugins that Volatility has and cannot load
 * @throws VolatilityError when there is none, or more than one
 */
export function findPlugin(
  name: string,
  plugins: readonly VolatilityPlugin[],
  unloaded: readonly string[] = [],
): VolatilityPlugin {
  const wanted = name.toLowerCase().split(".");
  const matching = plugins.filter((plugin) => plugin.name === name);
  if (matching.length === 0) {
    matching.push(...plugins.filter((plugin) => hasParts(plugin.name.toLowerCase().split("."), wanted)));
  }
  const linux = matching.filter((plugin) => plugin.name.startsWith("linux."));
  const candidates = (linux.length > 0 ? linux : matching).map((plugin) => ({
    plugin,
    parts: countParts(plugin.name),
  }));
  const fewest = Math.min(...candidates.map(({ parts }) => parts));
  const [found, another] = candidates.filter(({ parts }) => parts === fewest).map(({ plugin }) => plugin);
  if (found && !another) return found;
  if (found && another) {
    throw new VolatilityError("plugin", `"${name}" may be ${found.name} or ${another.name}: say which`);
  }
  const missing = unloaded.find((module) => namesModule(wanted, module.toLowerCase().split(".")));
  if (missing !== undefined) {
    const problem = `Volatility cannot load its plugin ${missing}: it needs a package of Python that is not there`;
    throw new VolatilityError("plugin", `${problem}; Volatility's own vol -vv -h says which`);
  }
  const nearest = findNearest(name, plugins);
  const hint = nearest === undefined ? "list_vol_commands lists them" : `did you mean ${nearest}?`;
  throw new VolatilityError("plugin", `Volatility has no plugin "${name}"; ${hint}`);
}

/** Reports whether the parts follow each other, with nothing left out except at the beginning, or one part at the end. */
function hasParts(parts: readonly string[], wanted: readonly string[]): boolean {
  for (let start = 0; start + wanted.length <= parts.length; start++) {
    const isThere = wanted.every((part, index) => parts[start + index] === part);
    if (isThere && start + wanted.length >= parts.length - 1) return true;
  }
  return false;
}

/** Tells whether a name means a module: its last parts, with or without the class of a plugin in it behind. */
function namesModule(wanted: readonly string[], module: readonly string[]): boolean {
  return [wanted, wanted.slice(0, -1)].some(
    (parts) => parts.length > 0 && parts.join(".") === module.slice(-parts.length).join("."),
  );
}

/** Finds the plugin that a misspelt name is near to; a name without a system is one of Linux. */
function findNearest(name: string, plugins: readonly VolatilityPlugin[]): string | undefined {
  const names = new Map<string, string>();
  for (const plugin of plugins) {
    const module = plugin.name.split(".").slice(0, -1).join(".");
    for (const whole of [plugin.name, module]) {
      names.set(whole, whole);
      if (whole.startsWith("linux.")) names.set(whole.slice("linux.".length), whole);
    }
  }
  const nearest = findNearestName(name, [...names.keys()]);
  return nearest && names.get(nearest);
}

function countParts(name: string): number {
  return name.split(".").length;
}
