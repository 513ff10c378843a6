import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, realpathSync, renameSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Fingerprint } from "../fingerprint.mjs";
import { places } from "../places.mjs";
import { SetupError } from "../setup-error.mjs";

/** The Node that the sanitizer's tests run in; children find it as `node`. */
export const SANITIZED_NODE = join(places.build, "node-asan/node");

/**
 * Makes the step that copies this Node and has the copy load the sanitizer first. LD_PRELOAD would have every child load it too:
 * QEMU's own programs and browsers switch stacks, and hang under it.
 */
export function sanitizedNodeStep() {
  const node = realpathSync(process.execPath);
  const inputs = () => new Fingerprint().file(node);
  return {
    name: "node-asan",
    // Under the copy itself there is nothing to copy.
    isDone: () =>
      existsSync(SANITIZED_NODE) && (node === realpathSync(SANITIZED_NODE) || inputs().matches("node-asan")),
    act: async (task) => {
      const made = inputs();
      mkdirSync(dirname(SANITIZED_NODE), { recursive: true });
      const unfinished = `${SANITIZED_NODE}.new`;
      copyFileSync(node, unfinished);
      await task.run("patchelf", ["--add-needed", nameSanitizer(), unfinished]);
      renameSync(unfinished, SANITIZED_NODE);
      made.save("node-asan");
      return "made";
    },
  };
}

/** Names the compiler's library, such as libasan.so.8. */
function nameSanitizer() {
  const path = execFileSync("gcc", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim();
  // Without the file gcc prints the bare name.
  const [name] = /^libasan\.so\.\d+/.exec(path.startsWith("/") ? basename(realpathSync(path)) : "") ?? [];
  if (name === undefined) throw new SetupError("gcc has no libasan.so; install build-essential and set up again");
  return name;
}
