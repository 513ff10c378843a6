// Makes the packages of rebox: npm run package
import { statSync } from "node:fs";
import { relative } from "node:path";
import { places } from "../places.mjs";
import { packEngine } from "./engine-package.mjs";
import { packGuest } from "./guest-package.mjs";
import { packRebox } from "./rebox-package.mjs";

for (const pack of [packRebox, packEngine, packGuest]) {
  const tarball = await pack();
  console.log(`package: ${relative(places.root, tarball)}, ${(statSync(tarball).size / 1e6).toFixed(1)} MB`);
}
