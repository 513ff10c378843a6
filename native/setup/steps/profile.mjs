import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DebianPackage } from "../debian-package.mjs";
import { Fingerprint } from "../fingerprint.mjs";
import { kernelDirectory } from "../guest-kernel.mjs";
import { places } from "../places.mjs";
import { SetupError } from "../setup-error.mjs";

// What `rebox profile` writes; a new one must not be taken for the old one that is in the cache.
const FORMAT = "1";

/**
 * Makes the step that makes the profile of a guest kit's kernel, for kernels that do not describe themselves.
 * @param {string} kernel as it was given to guestStep()
 * @param {string} debugPackage the package with its debug information; it is huge, and not kept
 */
export function profileStep(kernel, debugPackage) {
  const name = `profile-${kernelDirectory(kernel)}`;
  const kit = join(places.build, "guest", kernelDirectory(kernel));
  const description = join(kit, "guest.json");
  const inputs = () => new Fingerprint().text("format", FORMAT).file(description);
  return {
    name,
    sharesCache: true,
    isDone: () => existsSync(join(kit, "kernel.profile")) && inputs().matches(name),
    act: async (task) => {
      if (!existsSync(description)) throw new SetupError(`there is no guest kit with ${kernel}`);
      const { release, version } = JSON.parse(readFileSync(description, "utf8"));
      const cached = join(places.cachedGuest, `${release}_${version}_${FORMAT}.profile`);
      if (!existsSync(cached)) await make(task, debugPackage, version, cached);
      copyFileSync(cached, join(kit, "kernel.profile"));
      inputs().save(name);
      return `made for ${release}`;
    },
  };
}

async function make(task, debugPackage, version, output) {
  mkdirSync(places.cachedGuest, { recursive: true });
  task.say("a kernel's debug package is several hundred megabytes; it is needed this once");
  const found = await DebianPackage.named(task, debugPackage);
  const fetched = await found.field("Version");
  if (fetched !== version) {
    const advice = `remove ${places.cachedGuest} and set up again to have the newest of both`;
    throw new SetupError(`the mirror's ${debugPackage} is for ${fetched}, the guest's kernel is ${version}: ${advice}`);
  }
  const command = join(places.build, "js/src/cli/main.js");
  await task.run(process.execPath, [command, "profile", found.path, "-o", `${output}.new`]);
  renameSync(`${output}.new`, output);
  rmSync(found.path);
}
