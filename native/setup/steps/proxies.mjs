import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DebianArchive } from "../debian-archive.mjs";
import { DebianPackage } from "../debian-package.mjs";
import { Fingerprint } from "../fingerprint.mjs";
import { places } from "../places.mjs";
import { qemuUpstream } from "../qemu-upstream.mjs";
import { ResultStore } from "../result-store.mjs";

/** Debian's packages of the servers in front of rebox that `conf/` has examples for, and their programs. */
const PROGRAMS = { nginx: "usr/sbin/nginx", caddy: "usr/bin/caddy" };

/** Makes the step that takes the programs out of their packages: installed, they would serve this host's port 80. */
export function proxiesStep() {
  const store = new ResultStore("proxies", "proxies");
  const hash = new Fingerprint().text("programs", JSON.stringify(PROGRAMS)).digest.slice(0, 16);
  return {
    name: "proxies",
    sharesCache: true,
    isDone: () => store.isLinked(hash),
    act: async (task) => {
      const wasThere = store.has(hash);
      if (!wasThere) await fetchPrograms(task, store, hash);
      store.use(hash);
      return wasThere ? "taken from the cache" : "fetched";
    },
  };
}

async function fetchPrograms(task, store, hash) {
  const work = join(places.cachedWork, `proxies-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    const archive = new DebianArchive(task, qemuUpstream().suite);
    for (const [name, program] of Object.entries(PROGRAMS)) {
      task.say(`fetching the package ${name}`);
      const found = new DebianPackage(task, await archive.fetchPackage(name, work));
      await found.unpack(join(work, name), program);
    }
    const files = Object.entries(PROGRAMS).map(([name, program]) => join(work, name, program));
    store.add(hash, files, { programs: PROGRAMS });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
