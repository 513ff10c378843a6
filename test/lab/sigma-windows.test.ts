import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { SeenAct } from "../../src/lab/verdict/signature";
import { readRuleFolder } from "../../src/lab/verdict/sigma/rule-folder";
import { listSigmaEvents } from "../../src/lab/verdict/sigma/sigma-events";
import { inFolder } from "../kit/in-folder";
import { windowsAct } from "../kit/lab/windows-signature-examples";

const act = windowsAct;
const RUN = "\\REGISTRY\\MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run";
const run = (executable: string, commandLine = "x") => act("process.executed", {}, { executable, commandLine });

/** Rules in the form of SigmaHQ's: of each an act that fits and one that does not. */
const RULES: Readonly<
  Record<string, { product?: string; category: string; detection: string; fits: SeenAct; not: SeenAct }>
> = {
  "a program by its name, or by the name in its file, which is not known": {
    ...{ product: "windows", category: "process_creation" },
    detection: "{ a: [{ Image|endswith: '\\whoami.exe' }, { OriginalFileName: whoami.exe }], condition: a }",
    fits: run("C:\\Windows\\System32\\WHOAMI.exe"),
    not: run("C:\\Windows\\System32\\cmd.exe"),
  },
  "a value of the registry": {
    ...{ product: "windows", category: "registry_set" },
    detection: "{ a: { EventType: SetValue, TargetObject|contains: '\\CurrentVersion\\Run\\', TargetObject|startswith: 'HKLM\\', Details|contains: '\\Public\\' }, condition: a }", // prettier-ignore
    fits: act("registry.set", { key: RUN, name: "x", valueType: "REG_SZ", data: "C:\\Users\\Public\\x.exe" }),
    not: act("registry.set", { key: RUN, name: "x", valueType: "REG_SZ", data: "C:\\Program Files\\x.exe" }),
  },
  "a number of the registry, as Sysmon writes it": {
    ...{ product: "windows", category: "registry_event" },
    detection: "{ a: { TargetObject|endswith: '\\Control\\Lsa\\RunAsPPL', Details: 'DWORD (0x00000000)' }, condition: a }", // prettier-ignore
    fits: act("registry.set", { key: "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Control\\Lsa", name: "RunAsPPL", valueType: "REG_DWORD", data: 0 }), // prettier-ignore
    not: act("registry.set", { key: "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Control\\Lsa", name: "RunAsPPL", valueType: "REG_DWORD", data: 1 }), // prettier-ignore
  },
  "a key that is removed": {
    ...{ product: "windows", category: "registry_delete" },
    detection: "{ a: { EventType: DeleteKey, TargetObject|endswith: '\\Run' }, condition: a }",
    fits: act("registry.removed", { key: RUN }),
    not: act("registry.removed", { key: RUN, name: "x" }),
  },
  "a file that is made, by a path with a drive": {
    ...{ product: "windows", category: "file_event" },
    detection: "{ a: { TargetFilename|startswith: 'C:\\Users\\', TargetFilename|endswith: '.lnk' }, condition: a }",
    fits: act("file.made", { path: "\\??\\C:\\Users\\ann\\x.lnk", how: "created", kind: "file" }),
    not: act("file.removed", { path: "\\??\\C:\\Users\\ann\\x.lnk" }),
  },
  "a connection": {
    ...{ product: "windows", category: "network_connection" },
    detection: "{ a: { Initiated: 'true', DestinationPort: 4444 }, condition: a }",
    fits: act("network.connected", { address: "192.0.2.1", port: 4444 }),
    not: act("network.connected", { address: "192.0.2.1", port: 443 }),
  },
  "what no product is named for": {
    category: "process_creation",
    detection: "{ a: { CommandLine|contains: ' --evil' }, condition: a }",
    fits: run("C:\\x.exe", "x --evil"),
    not: run("C:\\x.exe", "x --good"),
  },
};

describe("Sigma rules for Windows", () => {
  for (const [name, { product, category, detection, fits, not }] of Object.entries(RULES)) {
    test(`fit ${name}`, async () => {
      await inFolder((folder) => {
        const source =
          product === undefined ? `{ category: ${category} }` : `{ product: ${product}, category: ${category} }`;
        writeFileSync(join(folder, "a.yml"), `title: t\nlogsource: ${source}\ndetection: ${detection}\n`);
        const { rules, unusable } = readRuleFolder(folder, "windows");
        assert.deepEqual(unusable, []);
        const [{ rule, categories } = assert.fail()] = rules;
        const isFit = (one: SeenAct) =>
          [...listSigmaEvents(one)].some((event) => categories.includes(event.category) && rule.fits(event));
        assert.deepEqual([isFit(fits), isFit(not)], [true, false]);
        return Promise.resolve();
      });
    });
  }

  test("are not asked about Linux, nor those for Linux about Windows", async () => {
    await inFolder((folder) => {
      for (const product of ["linux", "windows"])
        writeFileSync(join(folder, `${product}.yml`), `title: t\nlogsource:\n  product: ${product}\n  category: process_creation\ndetection: { a: { CommandLine|contains: x }, condition: a }\n`); // prettier-ignore
      const { rules } = readRuleFolder(folder);
      const list = (one: SeenAct) => {
        const events = [...listSigmaEvents(one)];
        return rules.filter(({ rule, categories }) => events.some((event) => categories.includes(event.category) && rule.fits(event))).map(({ file }) => file); // prettier-ignore
      };
      assert.deepEqual(list(run("C:\\x.exe")), ["windows.yml"]);
      assert.deepEqual(list(run("/usr/bin/x")), ["linux.yml"]);
      assert.deepEqual(readRuleFolder(folder, "linux").unusable.map(({ reason }) => reason), ["it is for windows"]); // prettier-ignore
      return Promise.resolve();
    });
  });
});
