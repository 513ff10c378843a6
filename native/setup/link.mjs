// Puts `rebox` on the PATH: npm run link [-- FOLDER]
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const MARK = "# Made by npm run link of rebox.";
const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

const project = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const main = join(project, "build/js/src/cli/main.js");
// The folder for a user's programs of the XDG Base Directory Specification.
const folder = resolve(process.argv[2] ?? join(homedir(), ".local/bin"));
const file = join(folder, "rebox");

if (existsSync(file) && !readFileSync(file, "latin1").includes(MARK)) {
  console.error(`link: ${file} is another program; name another folder: npm run link -- FOLDER`);
  process.exit(1);
}
mkdirSync(folder, { recursive: true });
// This Node.js, whatever another shell would find.
writeFileSync(file, `#!/bin/sh\n${MARK}\nexec ${quote(process.execPath)} ${quote(main)} "$@"\n`);
chmodSync(file, 0o755);
console.log(`link: ${file} starts rebox of ${project}`);
if (!existsSync(main)) console.log("link: it is not built yet: npm run demo");
const isOnPath = (process.env.PATH ?? "").split(delimiter).some((each) => resolve(each) === folder);
if (!isOnPath)
  console.log(`link: ${folder} is not on the PATH; add to ~/.profile: export PATH=${quote(folder)}:"$PATH"`);
