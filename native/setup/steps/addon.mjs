import { existsSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Fingerprint } from "../fingerprint.mjs";
import { places } from "../places.mjs";
import { SetupError } from "../setup-error.mjs";

/**
 * Makes the step that builds the N-API addon against the QEMU library.
 * @param {{sanitize?: boolean}} options sanitize: with AddressSanitizer and UndefinedBehaviorSanitizer, into its own directory
 */
export function addonStep({ sanitize = false } = {}) {
  const name = sanitize ? "addon-asan" : "addon";
  const output = join(places.build, name);
  const result = join(output, "Release/rebox.node");
  const qemu = join(places.build, sanitize ? "qemu-asan" : "qemu");
  const options = [`--CDREBOX_QEMU_DIR=${qemu}`, `--CDREBOX_SANITIZE=${sanitize ? "ON" : "OFF"}`];
  const settings = () =>
    new Fingerprint()
      .text("options", options.join(" "))
      .file(join(places.root, "package-lock.json"))
      .file(join(places.nativeAddon, "package.json"));
  // The addon is linked with the library and sees the C interface of native/qemu.
  const inputs = () =>
    settings()
      .text("library", existsSync(qemu) ? realpathSync(qemu) : "absent")
      .tree(places.nativeAddon)
      .tree(places.nativeQemu, (path) => path.endsWith(".h"))
      .file(join(places.root, "triggers/rebox_trigger.h"));
  return {
    name,
    isDone: () => existsSync(result) && inputs().matches(name),
    act: async (task) => {
      requireNodeApiMode();
      const built = inputs();
      const cmakeJs = (command) =>
        task.run(
          join(places.root, "node_modules/.bin/cmake-js"),
          [command, "-d", places.nativeAddon, "-O", output, ...options],
          { env: { NINJA_STATUS: "[%f/%t] " } },
        );
      // CMake refuses a build folder that was configured at another path: the checkout was moved, or copied.
      if (isConfiguredElsewhere(output)) rmSync(output, { recursive: true, force: true });
      // cmake-js passes the variables only when it configures, so changed ones need that said.
      if (!existsSync(output) || !settings().matches(`${name}-settings`)) await cmakeJs("configure");
      settings().save(`${name}-settings`);
      await cmakeJs("build");
      if (!existsSync(result)) {
        throw new SetupError(`the build of native/addon left no ${result}; its CMake target must be a module "rebox"`);
      }
      built.save(name);
      return "built";
    },
  };
}

/** Tells whether a build folder has a CMake cache that was made for a folder of another path. */
export function isConfiguredElsewhere(folder) {
  const cache = join(folder, "CMakeCache.txt");
  if (!existsSync(cache)) return false;
  const [, made] = /^CMAKE_CACHEFILE_DIR:INTERNAL=(.*)$/m.exec(readFileSync(cache, "utf8")) ?? [];
  return made !== realpathSync(folder);
}

/** Stops before cmake-js would download Node's headers, which it does for an addon that does not declare Node-API. */
function requireNodeApiMode() {
  const path = join(places.nativeAddon, "package.json");
  const declared = existsSync(path) && JSON.parse(readFileSync(path, "utf8")).binary?.napi_versions;
  if (declared) return;
  throw new SetupError(
    `${path} must hold "binary": { "napi_versions": [9] }: without it cmake-js ignores node-api-headers and downloads`,
  );
}
