import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runGuest } from "../kit/guests/guest-run";
import { PROJECT } from "../kit/project";

const DOCUMENTS = [
  "README.md",
  ...readdirSync(join(PROJECT, "docs"), { recursive: true, encoding: "utf8" }).map((name) => join("docs", name)),
];

interface DocumentedScript {
  readonly code: string;
  /** The guest kit's task that it runs on. */
  readonly task: string;
  readonly qemuArgs: readonly string[];
  /** It has something to do with the guest's boot; the others see what they tell of in a guest that has booted. */
  readonly boots: boolean;
  readonly needs: string | undefined;
}

/**
 * Finds the scripts of a document. A comment in the line before says what one needs of the guest:
 * `<!-- run: task=network qemu="-nic user,model=ne2k_pci" -->`; boots says that it needs the boot;
 * needs="..." says what is missing in rebox itself, so that the script is not run.
 */
function findScripts(document: string): DocumentedScript[] {
  const text = readFileSync(join(PROJECT, document), "utf8");
  return [...text.matchAll(/^(?:<!-- run:(.*?)-->\n)?```ts\n(.*?)^```$/gms)]
    .map(([, run = "", code]) => ({
      code: code!,
      task: /\btask=(\S+)/.exec(run)?.[1] ?? "poweroff",
      qemuArgs: /\bqemu="([^"]*)"/.exec(run)?.[1]?.split(" ") ?? [],
      boots: /\bboots\b/.test(run),
      needs: /\bneeds="([^"]*)"/.exec(run)?.[1],
    }))
    .filter(({ code }) => code.includes("initialize_callbacks("));
}

/**
 * Their scripts are run as they say themselves: by guide.boot.test.ts, test/lab/analyses-document.boot.test.ts, the test of the
 * document of recordings and files-you-can-write.boot.test.ts.
 */
const WITH_TESTS_OF_THEIR_OWN = [
  ...["docs/guides/first-hour.md", "docs/guides/analyses.md", "docs/guides/recordings.md"],
  "docs/reference/files-you-can-write.md",
];

for (const document of DOCUMENTS.filter((name) => name.endsWith(".md") && !WITH_TESTS_OF_THEIR_OWN.includes(name))) {
  findScripts(document).forEach(({ code, task, qemuArgs, boots, needs }, index) => {
    const skip = needs === undefined ? false : `rebox lacks ${needs}`;
    test(`script ${index + 1} of ${document} runs on a guest without an error`, { skip }, async () => {
      const trusted = code.includes('from "rebox/trusted"') ? { trust: true } : {};
      const run = await runGuest({ task, boots, qemuArgs, ...trusted, script: () => code });
      assert.equal(run.status, 0, run.stderr);
      assert.equal(run.stderr, "");
      assert.notDeepEqual(run.messages, []);
    });
  });
}

test("every type of callback has a page with a script", () => {
  const types = readFileSync(join(PROJECT, "src/machine/callbacks/callback-types.ts"), "utf8").matchAll(
    /^ {2}(\w+_CB):/gm,
  );
  const scripts = DOCUMENTS.filter(
    (name) => name.startsWith("docs/reference/callbacks/") && name !== "docs/reference/callbacks/README.md",
  );
  const titles = scripts.map((name) => readFileSync(join(PROJECT, name), "utf8").split("\n", 1)[0]);
  assert.deepEqual(titles.toSorted(), [...types].map(([, type]) => `# ${type}`).toSorted());
  for (const name of scripts) assert.equal(findScripts(name).length, 1, name);
});

test("the README's script prints what the README says, except for addresses", async () => {
  const readme = readFileSync(join(PROJECT, "README.md"), "utf8");
  const printed = [...readme.matchAll(/^ {4}\[entry\] (.*)$/gm)].map(([, line]) => line!);
  const run = await runGuest({ task: "poweroff", boots: true, script: () => findScripts("README.md")[0]!.code });
  const shape = (line: string) => line.replace(/0x[0-9a-f]+/g, "0x...");
  assert.equal(printed.length, 3);
  assert.deepEqual(run.messages.map(shape), printed.map(shape));
});
