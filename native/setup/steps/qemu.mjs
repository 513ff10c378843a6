import { createHash } from "node:crypto";
import { join } from "node:path";
import { Fingerprint } from "../fingerprint.mjs";
import { PackagedEngine } from "../packaged-engine.mjs";
import { places } from "../places.mjs";
import { hostSystem, qemuConfiguration } from "../qemu-configuration.mjs";
import { qemuPatches } from "../qemu-patches.mjs";
import { fetchQemuSource, knownQemuSource } from "../qemu-source.mjs";
import { QemuTree } from "../qemu-tree.mjs";
import { ResultStore, workTree } from "../result-store.mjs";

const LIBRARY = "libqemu-system-x86_64.so";

/**
 * Makes the step that builds QEMU as a shared library, with native/qemu inside.
 * @param {{sanitize?: boolean, isPackaged?: boolean}} options sanitize: with AddressSanitizer and UndefinedBehaviorSanitizer in the
 *   target's objects; isPackaged: an installed package of the same content serves as well
 */
export function qemuStep({ sanitize = false, isPackaged = !sanitize } = {}) {
  const name = sanitize ? "qemu-asan" : "qemu";
  const packaged = new PackagedEngine();
  const built = qemuBuildStep({
    name,
    store: new ResultStore(name, name),
    targets: [LIBRARY, "qemu-img"],
    patches: () => qemuPatches(),
    configuration: qemuConfiguration({ library: true }),
    native: true,
    sanitize,
  });
  if (!isPackaged) return built;
  return {
    ...built,
    isDone: () => built.isDone() || packaged.isUsed(knownSourceHash()),
    act: async (task) => {
      // A source that somebody has chosen is to be built.
      const name =
        built.isInCache() || process.env.REBOX_QEMU_SOURCE ? undefined : packaged.take(task, knownSourceHash());
      if (name !== undefined) return `taken from ${name}`;
      packaged.leave();
      return built.act(task);
    },
  };
}

/** The sha256 of Debian's tarball, when it is there. */
function knownSourceHash() {
  return knownQemuSource()?.identity;
}

/** Makes a step that builds targets of QEMU into a result store, with files of its source beside them. */
export function qemuBuildStep({ name, store, targets, patches, configuration, native, beside = [], sanitize = false }) {
  const treeHash = (source) => {
    const fingerprint = new Fingerprint()
      .text("host", hostSystem())
      .text("source", source.identity)
      .text("configuration", configuration.join("\n"))
      .text("sanitize", String(sanitize));
    for (const patch of patches()) fingerprint.text(patch.name, patch.text);
    return fingerprint.digest.slice(0, 16);
  };
  const resultHash = (source) => {
    const fingerprint = new Fingerprint().text("tree", treeHash(source)).text("targets", targets.join(" "));
    if (beside.length > 0) fingerprint.text("headers", beside.join(" "));
    if (native) fingerprint.tree(places.nativeQemu);
    return fingerprint.digest.slice(0, 16);
  };
  return {
    name,
    sharesCache: true,
    isDone: () => {
      const source = knownQemuSource();
      return source !== undefined && store.isLinked(resultHash(source));
    },
    isInCache: () => {
      const source = knownQemuSource();
      return source !== undefined && store.has(resultHash(source));
    },
    act: async (task) => {
      const source = knownQemuSource() ?? (await fetchQemuSource(task));
      const hash = resultHash(source);
      if (store.has(hash)) {
        store.use(hash);
        return `taken from the cache (${hash})`;
      }
      const tree = new QemuTree(task, workTree(name, treeHash(source)));
      await tree.unpack(source.path, patches());
      if (native) tree.addNativeQemu({ sanitize });
      await tree.configure(configuration);
      task.say(`building QEMU ${tree.version}`);
      await tree.ninja(...targets);
      store.add(
        hash,
        [...targets.map((target) => join(tree.build, target)), ...beside.map((file) => join(tree.source, file))],
        {
          version: tree.version,
          source: source.path,
          configure: configuration,
          patches: patches().map((patch) => ({
            name: patch.name,
            sha256: createHash("sha256").update(patch.text).digest("hex"),
          })),
          date: new Date().toISOString(),
        },
      );
      store.use(hash);
      return `built QEMU ${tree.version} (${hash})`;
    },
  };
}
