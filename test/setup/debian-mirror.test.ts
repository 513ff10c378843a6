import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";
import { PROJECT } from "../kit/project";

const MODULE = pathToFileURL(join(PROJECT, "native/setup/debian-mirror.mjs")).href;
const chosen = process.env.REBOX_DEBIAN_MIRROR;
let directory: string;

beforeEach(() => {
  delete process.env.REBOX_DEBIAN_MIRROR;
  directory = mkdtempSync(join(tmpdir(), "rebox-apt-"));
  mkdirSync(join(directory, "sources.list.d"));
});

afterEach(() => {
  if (chosen !== undefined) process.env.REBOX_DEBIAN_MIRROR = chosen;
  else delete process.env.REBOX_DEBIAN_MIRROR;
  rmSync(directory, { recursive: true });
});

async function mirrorWith(files: Record<string, string>): Promise<string> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  const { debianMirror } = await import(MODULE);
  return debianMirror(directory);
}

test("a mirror is found in the one-line style, with and without options", async () => {
  const plain = { "sources.list": "# comment\ndeb http://mirror.example/debian bookworm main contrib\n" };
  assert.equal(await mirrorWith(plain), "http://mirror.example/debian");
  const signed = "deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] http://other.example/d trixie main\n";
  assert.equal(await mirrorWith({ "sources.list": signed }), "http://other.example/d");
});

test("a mirror is found in the deb822 style, past comments, disabled stanzas and the security archive", async () => {
  const stanzas = `Types: deb
Enabled: no
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security bookworm
Components: main

Types: deb
# A note in the middle
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;
  assert.equal(await mirrorWith({ "sources.list.d/debian.sources": stanzas }), "http://mirror.example/debian");
});

test("archives of other projects for a Debian release are not taken for Debian's", async () => {
  const files = {
    "sources.list.d/a.list": "deb [signed-by=/k/vendor.gpg] http://vendor.example/debian bookworm main\n",
    "sources.list.d/b.list": "deb http://vendor.example/tool bookworm stable\n",
    "sources.list.d/z.list": "deb http://mirror.example/debian bookworm main\n",
  };
  assert.equal(await mirrorWith(files), "http://mirror.example/debian");
});

test("without a Debian mirror the error names both ways on", async () => {
  const files = { "sources.list": "deb http://mirror.example/ubuntu noble main\n" };
  await assert.rejects(mirrorWith(files), /REBOX_DEBIAN_MIRROR=.*REBOX_QEMU_SOURCE=/s);
});

test("REBOX_DEBIAN_MIRROR wins", async () => {
  process.env.REBOX_DEBIAN_MIRROR = "http://chosen.example/debian";
  assert.equal(await mirrorWith({}), "http://chosen.example/debian");
});
