import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { getProjectFolder } from "../../src/config/folders";
import { listKits } from "../kit/guests/guest-kits";
import { runGuest, runRebox } from "../kit/guests/guest-run";

let folder: string;
before(() => void (folder = mkdtempSync(join(tmpdir(), "rebox-types-"))));
after(() => rmSync(folder, { recursive: true }));

/** Checks a script beside a declaration file with the TypeScript compiler; libraries too, so that the file itself counts. */
function compile(name: string, declarations: string, ...lines: readonly string[]): string[] {
  const project = getProjectFolder();
  const file = join(folder, `${name}.ts`);
  writeFileSync(file, ['import { getGuest } from "rebox";', ...lines].join("\n"));
  const options = {
    ...{ strict: true, noEmit: true, skipLibCheck: false, target: "es2022", lib: ["es2023", "esnext.disposable"] },
    ...{ module: "esnext", moduleResolution: "bundler", types: ["node"] },
    typeRoots: [join(project, "node_modules/@types")],
    paths: { rebox: [join(project, "build/js/src/doors/rebox.d.ts")] },
  };
  const config = join(folder, `${name}.json`);
  writeFileSync(config, JSON.stringify({ compilerOptions: options, files: [file, declarations] }));
  const { stdout, status, error } = spawnSync(
    process.execPath,
    [join(project, "node_modules/typescript/bin/tsc"), "-p", config],
    {
      encoding: "utf8",
    },
  );
  if (error) throw error;
  // 2 says that there are errors; all else, that the compiler itself had trouble.
  assert.ok(status === 0 || status === 2, `the compiler ended with ${status}`);
  return stdout.split("\n").filter((line) => /error TS/.test(line));
}

const GOOD = [
  'const task = getGuest().struct("task_struct", 1n);',
  "const name: string = task.comm;",
  "const pid: number = task.pid;",
  "const pgd: bigint | undefined = task.mm?.pgd?.pgd;",
  "const parent: string | undefined = task.real_parent?.comm;",
  'for (const child of getGuest().list(task.children, "task_struct", "sibling")) console.log(child.comm.length);',
  'const other: any = getGuest().struct("a_struct_that_is_not_there", 1n).anything;',
  "console.log(name, pid, pgd, parent, other);",
];
const BAD = [
  'getGuest().struct("task_struct", 1n).commm;',
  'const pid: string = getGuest().struct("task_struct", 1n).pid;',
];

function check(declarations: string, name: string): void {
  assert.deepEqual(compile(`good-${name}`, declarations, ...GOOD), []);
  const errors = compile(`bad-${name}`, declarations, ...BAD);
  assert.equal(errors.length, 2, errors.join("\n"));
  assert.match(errors[0] ?? "", /TS2551: Property 'commm' does not exist on type 'task_struct'. Did you mean 'comm'\?/);
  assert.match(errors[1] ?? "", /TS2322: Type 'number' is not assignable to type 'string'/);
}

test("a running guest's types declare its structs to the compiler, and values have the declared types", async () => {
  const file = join(folder, "guest.d.ts");
  const run = await runGuest({
    task: "idle",
    trust: true,
    script: () => `
      import { Engine, waitForGuest, writeGuestTypes } from "rebox";
      export function initialize_callbacks(_: number, print: (text: string) => void): void {
        void waitForGuest()
          .then((guest) => {
            writeGuestTypes(${JSON.stringify(file)});
            const task: any = guest.struct("task_struct", guest.getProcessList()[0]!.kaddr);
            print(JSON.stringify(Object.keys(task).map((name) => {
              const value = task[name];
              return [name, Array.isArray(value) ? "array" : value === null ? "null" : typeof value];
            })));
          })
          .catch((error: unknown) => print(String(error)))
          .finally(() => Engine.get().quit());
      }
      export const clean = (): void => {};
    `,
  });
  assert.equal(run.stderr, "");
  check(file, "running");
  const text = readFileSync(file, "utf8");
  assert.match(text, /^\/\/ Linux version \d/);
  const body = /\n {2}interface task_struct \{\n([^]*?)\n {2}\}\n/.exec(text)?.[1] ?? "";
  const declared = new Map(
    [...body.matchAll(/^ {4}readonly (\w+): ([^;\n]+)/gm)].map(([, name, type]) => [name, type]),
  );
  const members = JSON.parse(run.messages[0] ?? "") as [string, string][];
  assert.ok(members.length > 100);
  assert.deepEqual([...declared.keys()].sort(), members.map(([name]) => name).sort());
  for (const [name, kind] of members) {
    const type = declared.get(name) ?? "";
    const simple = /^(string|number|bigint|boolean)$/.test(type);
    if (simple) assert.equal(kind, type, name);
    else if (type.startsWith("readonly (")) assert.equal(kind, "array", name);
    else if (kind === "null") assert.match(type, /\| null$|\{$/, name);
    else assert.equal(kind, "object", name);
  }
});

test("rebox types declares the structs of a profile", async (t) => {
  const profile = listKits().find((kit) => kit.profile !== undefined)?.profile;
  if (profile === undefined) return t.skip("no kit with a profile is built");
  const file = join(folder, "profile.d.ts");
  const run = await runRebox(["types", profile, "-o", file], 60_000);
  assert.deepEqual([run.status, run.stdout, run.stderr], [0, "", ""]);
  const lines = GOOD.filter((line) => !line.includes("pgd"));
  assert.deepEqual(compile("profile", file, ...lines, "console.log(name, pid, parent, other);"), []);
});
