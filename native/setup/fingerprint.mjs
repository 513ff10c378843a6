import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { places } from "./places.mjs";

/** A sha256 over named inputs: it says whether a step's inputs are still those of its last successful run. */
export class Fingerprint {
  #hash = createHash("sha256");

  /** Adds a named text. */
  text(name, value) {
    // Lengths keep ("ab", "c") and ("a", "bc") apart.
    this.#hash.update(`${name}\0${Buffer.byteLength(value)}\0${value}`);
    return this;
  }

  /** Adds one file's content under its path relative to the checkout; an absent file counts as such. */
  file(path) {
    const name = relative(places.root, path);
    return existsSync(path)
      ? this.text(name, createHash("sha256").update(readFileSync(path)).digest("hex"))
      : this.text(name, "absent");
  }

  /** Adds every file below a directory whose name the filter accepts. */
  tree(directory, accepts = () => true) {
    for (const path of filesBelow(directory)) if (accepts(path)) this.file(path);
    return this;
  }

  /** Returns the digest in hexadecimal. */
  get digest() {
    return this.#hash.copy().digest("hex");
  }

  /** Tells whether the stamp of that name holds this digest. */
  matches(stamp) {
    const path = join(places.stamps, stamp);
    return existsSync(path) && readFileSync(path, "utf8") === this.digest;
  }

  /** Writes this digest to the stamp of that name. */
  save(stamp) {
    const path = join(places.stamps, stamp);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, this.digest);
  }
}

/** Lists the files below a directory in a stable order; an absent directory has none. */
export function filesBelow(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [path];
    })
    .sort();
}
