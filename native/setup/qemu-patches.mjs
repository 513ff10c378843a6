import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { filesBelow } from "./fingerprint.mjs";
import { places } from "./places.mjs";
import { SetupError } from "./setup-error.mjs";

/**
 * Reads the patches that qemu-patches/series names, in order.
 * @param {{plainOnly?: boolean}} options plainOnly: those which the unmodified QEMU needs too ("Plain: yes")
 * @returns {{name: string, path: string, text: string}[]}
 */
export function qemuPatches({ plainOnly = false } = {}) {
  const series = join(places.patches, "series");
  if (!existsSync(series)) throw new SetupError(`${series} is missing; restore it from git`);
  return readFileSync(series, "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter(Boolean)
    .map((name) => {
      const path = join(places.patches, name);
      if (!existsSync(path))
        throw new SetupError(`${series} names ${name}, which is not there; add it or drop the line`);
      return { name, path, text: readFileSync(path, "utf8") };
    })
    .filter(({ text }) => !plainOnly || /^Plain: yes$/m.test(text));
}

/** Applies patches to a source tree; one that does not fit exactly is an error, since a fuzzy hunk may land elsewhere. */
export async function applyPatches(task, patches, tree) {
  for (const { name, path } of patches) {
    try {
      await task.run("patch", ["-p1", "--fuzz=0", "--forward", "--no-backup-if-mismatch", "-i", path], { cwd: tree });
    } catch {
      const rejects = filesBelow(tree).filter((file) => file.endsWith(".rej"));
      for (const reject of rejects) task.note(`--- ${basename(reject)} ---\n${readFileSync(reject, "utf8")}`);
      throw new SetupError(
        `qemu-patches/${name} does not apply to this QEMU source; the rejected hunks end the log. ` +
          "qemu-patches/README.md says how to refresh a patch",
        { logHelps: true },
      );
    }
  }
}
