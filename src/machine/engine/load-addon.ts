import { existsSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { EngineUsageError } from "../errors";
import type { NativeAddon } from "./native";
import { setCallGuard } from "../../config/limits";
import { getBuiltFolder, getProjectFolder } from "../../config/folders";

let loaded: NativeAddon | undefined;

/**
 * Calls a function of rebox's for a script. It may use more stack than the script, whose recursion may have left none. Without
 * the addon it is only called.
 */
export function callReserved<Args extends unknown[], Result>(call: (...args: Args) => Result, ...args: Args): Result {
  return loaded ? loaded.callReserved(call, ...args) : call(...args);
}

/**
 * Loads the addon, and with it QEMU, once.
 *
 * REBOX_BUILD=asan in the environment takes the sanitizer build.
 *
 * @returns the addon
 * @throws EngineUsageError when it is not built, cannot be loaded, or this is a worker thread
 */
export function loadAddon(): NativeAddon {
  if (loaded) {
    return loaded;
  }
  if (!isMainThread) {
    throw new EngineUsageError(
      "the engine was asked for in a worker thread; QEMU executes the guest on Node's main thread: use it there",
    );
  }
  const suffix = process.env["REBOX_BUILD"] === "asan" ? "-asan" : "";
  const path = join(getBuiltFolder("addon", getProjectFolder(), suffix), "Release", "rebox.node");
  if (!existsSync(path)) {
    throw new EngineUsageError(`the addon is not built: ${path} does not exist; run \`npm run setup\``);
  }
  const module = { exports: {} };
  try {
    // Global, so that QEMU's plugins and triggers find QEMU's symbols.
    process.dlopen(module, path, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL);
  } catch (error) {
    throw new EngineUsageError(
      `the addon ${path} cannot be loaded: ${(error as Error).message}; run \`npm run setup\`, then \`rebox doctor\``,
    );
  }
  loaded = module.exports as NativeAddon;
  const { callGuarded } = loaded;
  setCallGuard((call) => callGuarded(call));
  return loaded;
}

/** Returns the arguments with which QEMU finds its firmware: none for a QEMU that was built here, which has its path in it. */
export function getFirmwareArguments(): string[] {
  const folder = getBuiltFolder("firmware");
  return existsSync(folder) ? ["-L", folder] : [];
}
