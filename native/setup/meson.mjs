import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { withLock } from "./lock.mjs";
import { places } from "./places.mjs";

// Debian 12's meson is too old for QEMU 10 (1.5); pycotap is what QEMU's configure asks for beside it.
// Python has read TOML by itself since 3.11.
const REQUIREMENTS = ["meson==1.8.5", "pycotap==1.3.1", 'tomli==2.2.1; python_version < "3.11"'];

/**
 * Makes sure that a Python with meson exists, away from the system's.
 * @param {import("./task.mjs").Task} task
 * @returns {Promise<string>} the path of its interpreter
 */
export async function mesonPython(task) {
  const python = join(places.cachedMeson, "bin/python3");
  const stamp = join(places.cachedMeson, "rebox-requirements");
  const wanted = REQUIREMENTS.join("\n");
  const isReady = () => existsSync(python) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
  if (isReady()) return python;
  const onWait = (holder) => task.say(`waiting for another set-up's meson (process ${holder})`);
  await withLock(join(places.cache, "locks/meson"), onWait, async () => {
    if (isReady()) return;
    task.say("installing meson into the cache");
    rmSync(places.cachedMeson, { recursive: true, force: true });
    mkdirSync(dirname(places.cachedMeson), { recursive: true });
    // A python3 earlier on PATH may be a build of its own without venv; the system's has python3-venv from the first step.
    const system = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
    await task.run(system, ["-m", "venv", places.cachedMeson]);
    await task.run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...REQUIREMENTS]);
    writeFileSync(stamp, wanted);
  });
  return python;
}
