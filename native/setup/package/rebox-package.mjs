import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeBundle } from "../bundle/make-bundle.mjs";
import { places } from "../places.mjs";
import { StagedPackage } from "./staged-package.mjs";

/** The files of rebox itself, below the checkout. */
const FILES = [
  ...["LICENSE", "README.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "pyrebox.conf"],
  ...["docs", "scripts", "triggers", "modules", "qemu-patches", "conf"],
  ...["src/guest/volatility/python", "native/setup/volatility-requirements.txt"],
  // Triggers of users are compiled with these.
  ...["native/qemu", "native/addon"],
];
/** The packages that only a checkout needs: with them the addon is built. */
const BUILDING = ["node-addon-api", "node-api-headers"];
/** Those that checkouts have for development, and users for theirs: the types of scripts, and their check. */
const FOR_SCRIPTS = ["typescript", "@types/node", "undici-types"];
const DOORS = ["rebox", "trusted", "investigation", "lab"];

/** Makes the tarball of rebox itself: everything of it that is not machine code. */
export async function packRebox() {
  const staged = new StagedPackage("rebox");
  const own = JSON.parse(readFileSync(join(places.root, "package.json"), "utf8"));
  for (const file of FILES) {
    staged.copy(
      join(places.root, file),
      file,
      (path) => !/(\.so|\.mjs|\.cc|\.pyc|__pycache__|tsbuildinfo)$/.test(path),
    );
  }
  staged.copy(join(places.build, "js/src"), "build/js/src", (path) => !path.endsWith(".tsbuildinfo"));
  for (const door of DOORS) addNodeTypes(join(staged.folder, `build/js/src/doors/${door}.d.ts`));
  await makeBundle({ sealed: true, folder: join(staged.folder, "build/bundle") });
  // npm install -g puts it where man finds it.
  const main = join(places.build, "js/src/cli/main.js");
  staged.write("man/rebox.1", execFileSync(process.execPath, [main, "manual"], { encoding: "utf8" }));
  const names = copyDependencies(staged);
  return staged.pack({
    ...{
      description: own.description,
      main: own.main,
      types: own.types,
      exports: own.exports,
      bin: own.bin,
      man: ["man/rebox.1"],
    },
    dependencies: Object.fromEntries(names.map(({ name, version }) => [name, version])),
    bundleDependencies: names.map(({ name }) => name),
    // Beside it, in the same version; npm refuses others.
    peerDependencies: { "rebox-engine-linux-x64": own.version, "rebox-guest-linux-x64": own.version },
    peerDependenciesMeta: { "rebox-engine-linux-x64": { optional: true }, "rebox-guest-linux-x64": { optional: true } },
  });
}

/** Has a door's types bring those of Node, which are in rebox's own node_modules. */
function addNodeTypes(file) {
  writeFileSync(file, `/// <reference types="node" preserve="true" />\n${readFileSync(file, "utf8")}`);
}

/**
 * Copies the packages that rebox needs, as they are installed. Those for other platforms are left out of their lists, so that npm does
 * not ask for them, and so is what would run at the installation.
 *
 * @returns their names and versions
 */
function copyDependencies(staged) {
  const { packages } = JSON.parse(readFileSync(join(places.root, "package-lock.json"), "utf8"));
  const names = Object.keys(packages)
    .filter((path) => path.startsWith("node_modules/") && existsSync(join(places.root, path)))
    .map((path) => ({ path, name: path.slice("node_modules/".length), ...packages[path] }))
    .filter(({ name, dev }) => (!dev && !BUILDING.includes(name)) || FOR_SCRIPTS.includes(name))
    .filter(({ name }) => !name.endsWith("-musl"))
    // Those within another package come with it.
    .filter(({ name }) => !name.includes("/node_modules/"));
  for (const { path, name, version, license, resolved } of names) {
    staged.copy(join(places.root, path), path, (file) => !/\/(tests?|\.github)$/.test(file));
    const file = join(staged.folder, path, "package.json");
    const manifest = JSON.parse(readFileSync(file, "utf8"));
    delete manifest.scripts;
    const here = Object.entries(manifest.optionalDependencies ?? {}).filter(([each]) =>
      names.some((one) => one.name === each),
    );
    manifest.optionalDependencies = Object.fromEntries(here);
    writeFileSync(file, `${JSON.stringify(manifest, undefined, 2)}\n`);
    staged.addComponent({ name, version, licence: license, source: resolved?.split("/").at(-1) });
  }
  return names;
}
