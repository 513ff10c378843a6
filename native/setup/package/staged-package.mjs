import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { places } from "../places.mjs";

/** The fields that all of rebox's packages share with its own package.json. */
const SHARED = ["version", "license", "engines", "os", "cpu"];

/** A package of npm in the making: a folder whose files become a tarball. */
export class StagedPackage {
  #components = [];

  /** @param {string} name of the package */
  constructor(name) {
    this.name = name;
    this.folder = join(places.build, "packages", name);
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
  }

  /** Copies a file or folder to a place in the package; `accepts` says which files of a folder. */
  copy(source, place, accepts = () => true) {
    const target = join(this.folder, place);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(source, target, { recursive: true, dereference: true, filter: accepts });
    return target;
  }

  /** Writes a text to a place in the package. */
  write(place, text) {
    const target = join(this.folder, place);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }

  /** Notes something of others that is in the package, for its bill of materials. */
  addComponent({ name, version, licence, source }) {
    this.#components.push({
      ...{ type: "library", name, version },
      ...(licence === undefined ? {} : { licenses: [{ license: { name: licence } }] }),
      ...(source === undefined ? {} : { externalReferences: [{ type: "source-distribution", url: source }] }),
    });
  }

  /** Takes the components over that another package's bill of materials names. */
  takeComponents({ components }) {
    this.#components.push(...components);
  }

  /**
   * Writes package.json and the bill of materials, and packs.
   *
   * @param {object} manifest what this package.json has beside what all share
   * @returns the tarball's path
   */
  pack(manifest) {
    const own = JSON.parse(readFileSync(join(places.root, "package.json"), "utf8"));
    const shared = Object.fromEntries(SHARED.map((name) => [name, own[name]]));
    this.write("package.json", `${JSON.stringify({ name: this.name, ...shared, ...manifest }, undefined, 2)}\n`);
    // CycloneDX, which tools that look for known weaknesses read.
    const components = this.#components.sort((one, other) => one.name.localeCompare(other.name));
    const bill = { bomFormat: "CycloneDX", specVersion: "1.5", version: 1, components };
    this.write("bill-of-materials.json", `${JSON.stringify(bill, undefined, 2)}\n`);
    const folder = join(places.build, "packages");
    const options = ["--ignore-scripts", "--json", "--pack-destination", folder];
    const said = execFileSync("npm", ["pack", ...options], { cwd: this.folder, encoding: "utf8", maxBuffer: 1 << 28 });
    return join(folder, JSON.parse(said)[0].filename);
  }
}
