import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { DebianPackage } from "../debian-package.mjs";
import { Fingerprint } from "../fingerprint.mjs";
import { places } from "../places.mjs";
import { ResultStore } from "../result-store.mjs";

const RELEASE = "trixie";

/** The packer, and the libraries that it is linked with, which this machine need not have in that version. */
const FILES = {
  "upx-ucl": ["usr/bin/upx-ucl"],
  libc6: ["usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/lib[cm].so.6"],
  "libstdc++6": ["usr/lib/x86_64-linux-gnu/libstdc++.so.6*"],
  "libgcc-s1": ["usr/lib/x86_64-linux-gnu/libgcc_s.so.1"],
};

/** Makes the step that fetches Debian's packer UPX, whose programs tests have unpack themselves: `packer` in the build folder. */
export function packerStep() {
  const store = new ResultStore("packer", "packer");
  const hash = new Fingerprint().text("files", JSON.stringify(FILES)).text("release", RELEASE).digest.slice(0, 16);
  return {
    name: "packer",
    sharesCache: true,
    isDone: () => store.isLinked(hash),
    act: async (task) => {
      const wasThere = store.has(hash);
      if (!wasThere) await fetch(task, store, hash);
      store.use(hash);
      return wasThere ? "taken from the cache" : `fetched UPX of Debian ${RELEASE}`;
    },
  };
}

async function fetch(task, store, hash) {
  const work = join(places.cachedWork, `packer-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    const found = new Map();
    for (const [name, patterns] of Object.entries(FILES)) {
      const taken = await DebianPackage.named(task, `${name}:amd64/${RELEASE}`);
      for (const { path, content } of await taken.files(...patterns)) {
        const file = join(work, basename(path));
        writeFileSync(file, content);
        chmodSync(file, 0o755);
        found.set(file, name);
      }
    }
    store.add(hash, [...found.keys()], { release: RELEASE, packages: Object.keys(FILES) });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
