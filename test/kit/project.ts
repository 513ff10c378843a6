import { join, resolve } from "node:path";

/** The folder of the checkout. */
export const PROJECT = resolve(__dirname, "../../../..");

/** The folder with the compiled src, test, scripts and modules, which lie there as in the project. */
export const BUILT = join(PROJECT, "build/js");

/** The built `rebox` command, for Node to run. */
export const REBOX = join(BUILT, "src/cli/main.js");
