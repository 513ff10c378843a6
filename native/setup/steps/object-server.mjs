import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Fingerprint } from "../fingerprint.mjs";
import { places } from "../places.mjs";
import { ResultStore } from "../result-store.mjs";
import { SetupError } from "../setup-error.mjs";

/** A server of the S3 API whose objects are plain files; no Debian release has one as small. */
const PROGRAM = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";
/** Go, on the PATH or where its own archive is unpacked. */
const GO = ["go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go"];

/** Makes the step that builds the object server of tests of clusters: `versitygw/versitygw` in the build folder. */
export function objectServerStep() {
  const store = new ResultStore("versitygw", "versitygw");
  const hash = new Fingerprint().text("program", PROGRAM).digest.slice(0, 16);
  return {
    name: "versitygw",
    sharesCache: true,
    isDone: () => store.isLinked(hash),
    act: async (task) => {
      const wasThere = store.has(hash);
      if (!wasThere) await build(task, store, hash);
      store.use(hash);
      return wasThere ? "taken from the cache" : "built";
    },
  };
}

async function build(task, store, hash) {
  const go = GO.find((name) => spawnSync(name, ["version"]).status === 0);
  if (go === undefined) throw new SetupError("there is no Go; install it (golang-go of Debian 13), and set up again");
  const work = join(places.cachedWork, `versitygw-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    task.say(`building ${PROGRAM}`);
    await task.run(go, ["install", PROGRAM], { env: { GOBIN: work } });
    if (!existsSync(join(work, "versitygw")))
      throw new SetupError("go install has made no program", { logHelps: true });
    store.add(hash, [join(work, "versitygw")], { program: PROGRAM });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
