import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createPermissionLookup } from "../../src/cli/run/run-scripts";
import { parsePermissions, SANDBOXED } from "../../src/config/script-permissions";
import { findDeclaration } from "../../src/scripts/loading/script-declarations";
import { PROJECT } from "../kit/project";

const SHIPPED = readdirSync(join(PROJECT, "scripts")).filter((name) => name.endsWith(".ts"));

test("the pyrebox.conf that ships grants each shipped script what it declares, and no more", () => {
  const configFile = join(PROJECT, "pyrebox.conf");
  const getPermissions = createPermissionLookup({ scriptFolders: [PROJECT], trustedScripts: [], configFile });
  for (const name of SHIPPED) {
    const file = join(PROJECT, "scripts", name);
    const declared = findDeclaration(file, "permissions") ?? ["none"];
    assert.deepEqual(getPermissions("", file), parsePermissions(declared.join(", "), PROJECT), name);
    for (const word of declared) assert.match(word, /^(none|fs:results|volatility)$/, name);
  }
});

test("a permission that is written into the configuration counts from the next load", () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-permissions-"));
  const configFile = join(folder, "pyrebox.conf");
  const file = join(folder, "own.ts");
  writeFileSync(file, "");
  const getPermissions = createPermissionLookup({ scriptFolders: [folder], trustedScripts: [], configFile });
  assert.deepEqual(getPermissions("own", file), SANDBOXED, "there is no configuration yet");
  writeFileSync(configFile, "[PERMISSIONS]\nown: triggers\n");
  assert.equal(getPermissions("own", file).triggers, true);
  writeFileSync(configFile, "[PERMISSIONS]\nown: none\n");
  assert.equal(getPermissions("own", file).triggers, false);
  writeFileSync(configFile, "[PERMISSIONS]\nown: trigers\n");
  assert.throws(() => getPermissions("own", file), /pyrebox\.conf:2: .*triggers/s);
  rmSync(folder, { recursive: true });
});
