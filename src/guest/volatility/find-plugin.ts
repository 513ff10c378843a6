import { findNearestName } from "../../config/nearest-name";
import { VolatilityError } from "../errors";
import type { VolatilityPlugin } from "./volatility-program";

/**
 * Finds the plugin that a name means: its whole name, or enough of its parts: linux.pslist.PsList, linux.pslist, pslist or PsList.
 * Plugins for Linux come before others, and shorter names before longer ones.
 *
 * @throws VolatilityError when there is none, or more than one
 */
export function findPlugin(name: string, plugins: readonly VolatilityPlugin[]): VolatilityPlugin {
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
  const names = plugins.flatMap((plugin) => [plugin.name, plugin.name.split(".").slice(0, -1).join(".")]);
  const nearest = findNearestName(name, names) ?? findNearestName(`linux.${name}`, names);
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

function countParts(name: string): number {
  return name.split(".").length;
}
