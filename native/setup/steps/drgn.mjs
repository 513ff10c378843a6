import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DebianPackage } from "../debian-package.mjs";
import { places } from "../places.mjs";
import { SetupError } from "../setup-error.mjs";

const REQUIREMENT = "drgn==0.3.0";

/**
 * Makes the step for what the bench compares the list of processes with: drgn from PyPI, and the kernel of the default guest kit
 * with its debug information, without which drgn knows no types.
 */
export function drgnStep() {
  const release = () => JSON.parse(readFileSync(join(places.build, "guest/guest.json"), "utf8")).release;
  const stamp = join(places.cachedDrgn, "rebox-requirements");
  const kernel = () => join(places.cachedDrgn, `vmlinux-${release()}`);
  const hasDrgn = () => existsSync(stamp) && readFileSync(stamp, "utf8") === REQUIREMENT;
  return {
    name: "drgn",
    sharesCache: true,
    isDone: () => hasDrgn() && existsSync(join(places.build, "guest/guest.json")) && existsSync(kernel()),
    act: async (task) => {
      mkdirSync(places.cachedDrgn, { recursive: true });
      if (!hasDrgn()) await install(task, stamp);
      if (!existsSync(kernel())) await fetchKernel(task, release(), kernel());
      return `${REQUIREMENT}, for ${release()}`;
    },
  };
}

async function install(task, stamp) {
  const environment = join(places.cachedDrgn, "venv");
  rmSync(environment, { recursive: true, force: true });
  const system = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
  await task.run(system, ["-m", "venv", environment]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT];
  await task.run(join(environment, "bin/python3"), pip);
  writeFileSync(stamp, REQUIREMENT);
}

async function fetchKernel(task, release, path) {
  task.say("the kernel's debug package is several hundred megabytes; it is needed this once");
  const found = await DebianPackage.named(task, `linux-image-${release}-dbg`);
  const folder = join(places.cachedDrgn, `.unpacked-${process.pid}`);
  try {
    await found.unpack(folder, `usr/lib/debug/boot/vmlinux-${release}`);
    const unpacked = join(folder, `usr/lib/debug/boot/vmlinux-${release}`);
    if (!existsSync(unpacked)) throw new SetupError(`${found.path} holds no vmlinux`);
    renameSync(unpacked, path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  rmSync(found.path);
}
