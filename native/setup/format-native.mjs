// Checks, or with --write changes, the format of the C and C++ files of native/ and triggers/ (.clang-format).
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { filesBelow } from "./fingerprint.mjs";
import { places } from "./places.mjs";

// The package's binary itself: other versions of clang-format format differently.
const program = join(places.root, "node_modules/clang-format/bin/linux_x64/clang-format");
if (!existsSync(program)) {
  console.error(`${program} is missing, which checks the format of C and C++: run "npm ci"`);
  process.exit(1);
}
const files = ["native", "triggers"]
  .flatMap((folder) => filesBelow(join(places.root, folder)))
  .filter((path) => /\.(c|cc|h)$/.test(path));
const wanted = process.argv.includes("--write") ? ["-i"] : ["--dry-run", "--Werror"];
const { status, stderr, error } = spawnSync(program, [...wanted, ...files], { encoding: "utf8" });
if (error) throw error;
if (status !== 0) {
  const unformatted = [...stderr.matchAll(/^(\/[^:\n]+:\d+):\d+: error:/gm)].map(([, place]) =>
    relative(places.root, place),
  );
  console.error(
    `not in the format of .clang-format:\n${[...new Set(unformatted)].join("\n")}\n"npm run format" changes that`,
  );
}
process.exitCode = status ?? 1;
