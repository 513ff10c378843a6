import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "./setup-error.mjs";

const RELEASES = /^(bullseye|bookworm|trixie|forky|duke|sid|oldstable|stable|testing|unstable)$/;

/**
 * Finds the Debian mirror that this machine already uses.
 * @param {string} directory apt's configuration directory
 * @returns {string} its URI
 */
export function debianMirror(directory = "/etc/apt") {
  if (process.env.REBOX_DEBIAN_MIRROR) return process.env.REBOX_DEBIAN_MIRROR;
  const parts = join(directory, "sources.list.d");
  const files = [
    join(directory, "sources.list"),
    ...(existsSync(parts) ? readdirSync(parts).sort() : []).map((name) => join(parts, name)),
  ].filter((path) => /\.(list|sources)$/.test(path) && existsSync(path));
  const mirrors = files
    .flatMap((path) => (path.endsWith(".list") ? oneLineEntries : stanzaEntries)(readFileSync(path, "utf8")))
    .filter(isDebianRelease)
    // Other projects publish for Debian's releases too; a key of their own, or another path, gives them away.
    .sort((a, b) => likelihood(b) - likelihood(a));
  if (mirrors.length > 0) return mirrors[0].uri;
  throw new SetupError(
    `no Debian mirror in ${directory}: QEMU's source is Debian's package. Set REBOX_DEBIAN_MIRROR=<URL of a Debian ` +
      "mirror>, or REBOX_QEMU_SOURCE=<tarball or directory of QEMU 10.0>, and set up again",
  );
}

/** Parses sources.list(5)'s one-line style. */
function oneLineEntries(text) {
  return [...text.matchAll(/^\s*deb(?:-src)?\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)[ \t]*(.*)$/gm)].map(
    ([, options = "", uri, suite, components]) => ({
      uri,
      suite,
      components: words(components),
      key: /signed-by=(\S+)/i.exec(options)?.[1] ?? "",
    }),
  );
}

/** Parses sources.list(5)'s deb822 style. */
function stanzaEntries(text) {
  const withoutComments = text.replace(/^#.*\n?/gm, "");
  return withoutComments.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name) => new RegExp(`^${name}:((?:.*)(?:\\n[ \\t].*)*)`, "im").exec(stanza)?.[1] ?? "";
    if (field("Enabled").trim() === "no") return [];
    const entry = { components: words(field("Components")), key: field("Signed-By").trim() };
    return words(field("URIs")).flatMap((uri) => words(field("Suites")).map((suite) => ({ ...entry, uri, suite })));
  });
}

function words(text) {
  return text.split(/\s+/).filter(Boolean);
}

function isDebianRelease({ uri, suite, components }) {
  return RELEASES.test(suite) && components.includes("main") && !/security|backports/.test(uri);
}

function likelihood({ uri, key }) {
  if (key.includes("debian-archive")) return 3;
  if (key !== "") return 0;
  return /\/debian\/?$|mirrors\/debian/.test(uri) ? 2 : 1;
}
