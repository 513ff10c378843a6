// Makes one file of rebox's compiled files and of the packages that they import.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { filesBelow } from "../fingerprint.mjs";
import { places } from "../places.mjs";

/**
 * Packages that stay files: those with native code or WebAssembly, those whose modules are exchanged while they load (acorn, for
 * vm2), and the one for a terminal, which few commands load.
 */
const EXTERNAL = ["esbuild", "libsql", "iced-x86", "vm2", "acorn", "reblessed", "typescript"];
/**
 * Packages, and modules of Node's own that bring many others, which are imported at the top of files: they load at their first use, which
 * most commands never come to.
 */
const LAZY = ["iced-x86", "libsql", "node:child_process", "node:module", "node:readline"];
/** Lines of the bundle end near this column: an error of Node's own shows the whole line. */
const LINE_LIMIT = 160;

/** Loads rebox's compiled launcher, which knows the programs and the rule by which a bundle fits. */
export function loadLauncher() {
  return createRequire(import.meta.url)(join(places.build, "js/src/cli/bundle/load-bundle.js"));
}

/** Lists the files by which it shows that a bundle is older than the compiled files, or the packages, or this file. */
function listInputs() {
  const rooms = filesBelow(join(places.build, "js/src")).filter((path) => path.endsWith(".tsbuildinfo"));
  return [...rooms, join(places.root, "node_modules/.package-lock.json"), fileURLToPath(import.meta.url)];
}

/**
 * Makes the bundle, and its stamp last.
 *
 * @param {{sealed?: boolean, folder?: string}} options sealed: for a package, in which nothing is compiled; the folder to write to
 */
export async function makeBundle({ sealed = false, folder = join(places.build, "bundle") } = {}) {
  const { build, stop } = await import("esbuild");
  const { PROGRAMS, markFile } = loadLauncher();
  // Taken first: a file compiled meanwhile must count as not in the bundle.
  const inputs = sealed
    ? {}
    : Object.fromEntries(listInputs().map((file) => [relative(places.build, file), markFile(file)]));
  const programs = Object.entries(PROGRAMS).map(
    ([name, file]) => `${JSON.stringify(name)}: () => require("./${file}").start()`,
  );
  const result = await build({
    stdin: { contents: `exports.programs = { ${programs.join(", ")} };`, resolveDir: join(places.build, "js") },
    bundle: true,
    write: false,
    outdir: folder,
    platform: "node",
    format: "cjs",
    target: "node20",
    external: EXTERNAL.filter((name) => !LAZY.includes(name)),
    // A plain require(), also for what is imported when it is needed: the bundle is no module of Node's loader.
    supported: { "dynamic-import": false },
    minifyWhitespace: true,
    // The name of a class is the name of its errors; a class that names itself would get another one.
    keepNames: true,
    lineLimit: LINE_LIMIT,
    // The file is an expression: the function that load-bundle.ts calls.
    banner: { js: "(function(exports,require,module,__filename,__dirname){" },
    footer: { js: "})" },
    legalComments: "none",
    sourcemap: "external",
    sourcesContent: false,
    logLevel: "silent",
    plugins: [realmCode(), lazyPackages(), lazyLocales()],
  });
  await stop();
  const [map, code] = result.outputFiles.map(({ contents }) => contents);
  const name = `rebox-${createHash("sha256").update(code).digest("hex").slice(0, 16)}.js`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.map`), map);
  writeFileSync(join(folder, name), code);
  const stamp = join(folder, "stamp.json");
  writeFileSync(`${stamp}.new`, `${JSON.stringify({ file: name, inputs }, undefined, 2)}\n`);
  renameSync(`${stamp}.new`, stamp);
  writeFileSync(join(folder, "page.js"), bundlePageScript());
  removeOthers(folder, name);
  return { file: join(folder, name), bytes: code.length };
}

/** Bundles the script of the server's pages. */
function bundlePageScript() {
  const { bundleScript } = createRequire(import.meta.url)(
    join(places.build, "js/src/server/pages/assets/script-bundle.js"),
  );
  return bundleScript();
}

/** Removes bundles of earlier compilations, and what V8 has made of them. */
function removeOthers(folder, name) {
  for (const parent of [folder, join(folder, "code")].filter((path) => existsSync(path)))
    for (const each of readdirSync(parent))
      if (/^rebox-[0-9a-f]+\.js/.test(each) && !each.startsWith(name)) rmSync(join(parent, each), { recursive: true });
}

/** Puts the finished code of the sandbox's inside in place of the module that would compile it at each start. */
function realmCode() {
  return {
    name: "realm-code",
    setup(build) {
      build.onLoad({ filter: /\/scripts\/sandbox\/realm-code\.js$/ }, async ({ path }) => {
        const code = await createRequire(import.meta.url)(path).getRealmCode();
        return { contents: `exports.getRealmCode = async () => ${JSON.stringify(code)};`, loader: "js" };
      });
    },
  };
}

/** Puts a module in place of a package: it has the package's exports, and loads the package when one of them is read. */
function lazyPackages() {
  const load = createRequire(import.meta.url);
  const name = new RegExp(`^(${LAZY.join("|")})$`);
  return {
    name: "lazy-packages",
    setup(build) {
      build.onResolve({ filter: name }, ({ path, namespace }) =>
        namespace === "lazy" ? { path, external: true } : { path, namespace: "lazy" },
      );
      build.onLoad({ filter: name, namespace: "lazy" }, ({ path }) => {
        const names = Object.keys(load(path)).filter((each) => /^[a-z]\w*$/i.test(each) && each !== "default");
        const getters = names.map((each) => `get ${each}() { return load().${each}; }`);
        const value = `{ __esModule: true, get default() { return load(); }, ${getters.join(", ")} }`;
        const contents = `let loaded; const load = () => (loaded ??= require("${path}")); module.exports = ${value};`;
        return { contents, loader: "js", resolveDir: places.root };
      });
    },
  };
}

/** Has zod load the texts of a language out of its own files, at their first use: there are 60 languages, and rebox uses one. */
function lazyLocales() {
  return {
    name: "lazy-locales",
    setup(build) {
      build.onLoad({ filter: /\/zod\/v4\/locales\/index\.cjs$/ }, ({ path }) => {
        const files = readdirSync(dirname(path)).filter((name) => name.endsWith(".cjs") && name !== "index.cjs");
        const getters = files.map((file) => {
          const language = file.slice(0, -".cjs".length);
          return `get ${language.replace("-", "")}() { return require("zod/v4/locales/${language}.cjs"); }`;
        });
        return { contents: `module.exports = { __esModule: true, ${getters.join(", ")} };`, loader: "js" };
      });
      build.onResolve({ filter: /^zod\/v4\/locales\// }, ({ path }) => ({ path, external: true }));
    },
  };
}
