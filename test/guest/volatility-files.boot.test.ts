import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { environmentFolder } from "../../src/guest/volatility/volatility-places";
import { runRebox } from "../kit/guests/guest-run";
import { withShell } from "../kit/terminal/shell-run";
import { volatilityEnvironment, whyNoVolatility } from "../kit/systems/volatility-run";
import { PROJECT } from "../kit/project";

interface SymbolFile {
  readonly metadata: { readonly producer: { readonly name: string } };
  readonly symbols: Readonly<
    Record<string, { readonly address: string; readonly type: object; readonly constant_data?: string }>
  >;
  readonly user_types: Readonly<
    Record<string, { readonly size: number; readonly fields: Readonly<Record<string, object>> }>
  >;
}

/** Addresses are more than what a JSON number holds exactly here. */
function readSymbolFile(text: string): SymbolFile {
  return JSON.parse(text.replace(/"address":(\d+)/g, '"address":"$1"')) as SymbolFile;
}

/** Has Volatility's own schema check a file, and every type that is referred to be there. */
const VALIDATE = `
import glob, json, sys
import fastjsonschema
schema = json.load(open(glob.glob(sys.argv[1] + "/lib/python3*/site-packages/volatility3/schemas/schema-6.2.0.json")[0]))
document = json.load(open(sys.argv[2]))
fastjsonschema.compile(schema)(document)
missing = set()
def walk(node):
    if isinstance(node, list):
        for entry in node: walk(entry)
    elif isinstance(node, dict):
        kind, name = node.get("kind"), node.get("name")
        if isinstance(name, str):
            where = {"struct": "user_types", "union": "user_types", "enum": "enums", "base": "base_types"}.get(kind)
            if where and name not in document[where]: missing.add(kind + " " + name)
        for entry in node.values(): walk(entry)
for part in ("user_types", "symbols"):
    walk(document[part])
for name, entry in document["enums"].items():
    if entry["base"] not in document["base_types"]: missing.add("base " + entry["base"])
print(len(document["user_types"]), len(document["symbols"]), sorted(missing)[:5])
`;

test(
  "a symbol file is valid by Volatility's schema, is of this kernel, and serves a Volatility that finds KASLR by itself",
  { skip: whyNoVolatility() },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-isf-test-"));
    try {
      const names = "_text init_task linux_banner sys_call_table";
      await withShell(
        { task: "symbols", parameters: { symbols: names.replaceAll(" ", ",") }, timeoutMs: 300_000 },
        async (run) => {
          // The guest powers off when it has told.
          while (
            (await run.error("bp kernel!kernel_power_off once")) !== "" ||
            (await run.data<{ state: string }[]>("bl"))[0]?.state === "pending"
          )
            await run.text("bc *");
          const truth = await run.truth("symbols.done");
          while ((await run.data<{ state: string }>("status")).state !== "paused");
          for (const name of ["symbols/linux", "cache"]) mkdirSync(join(folder, name), { recursive: true });
          const file = join(folder, "symbols/linux/guest.json");
          const printed = await runRebox(["isf", run.socket], 60_000);
          assert.equal(printed.status, 0, printed.stderr);
          writeFileSync(file, printed.stdout, "latin1");
          const other = join(folder, "shell.json");
          await run.text(`isf ${other}`);
          assert.deepEqual(
            readSymbolFile(readFileSync(other, "latin1")).symbols,
            readSymbolFile(printed.stdout).symbols,
          );
          assert.ok(
            (await run.data<{ name: string }[]>("list_vol_commands linux.psl")).some(({ name }) =>
              name.startsWith("linux.pslist"),
            ),
          );
          const { metadata, symbols, user_types: types } = readSymbolFile(printed.stdout);
          assert.equal(metadata.producer.name, "rebox");
          // By Documentation/arch/x86/x86_64/mm.rst the image begins at __START_KERNEL_map; it is linked 16 MiB behind it.
          assert.equal(BigInt(symbols["_text"]!.address), 0xffffffff81000000n);
          const told = (name: string): bigint => BigInt(truth.get(`symbol.${name}`)!);
          for (const name of names.split(" ").filter((one) => truth.has(`symbol.${one}`))) {
            const distance = BigInt(symbols[name]!.address) - BigInt(symbols["_text"]!.address);
            assert.equal(distance, told(name) - told("_text"), name);
          }
          assert.deepEqual(symbols["init_task"]!.type, { kind: "struct", name: "task_struct" });
          assert.equal(types["list_head"]?.size, 16);
          const banner = Buffer.from(symbols["linux_banner"]!.constant_data!, "base64").toString("latin1");
          assert.match(banner, /^Linux version .*\n\0$/);

          const venv = environmentFolder();
          const checked = execFileSync(join(venv, "bin/python3"), ["-c", VALIDATE, venv, file], { encoding: "utf8" });
          const [, userTypes, allSymbols, missing] = /^(\d+) (\d+) (.*)\n$/.exec(checked)!;
          assert.ok(Number(userTypes) > 5000 && Number(allSymbols) > 50_000, checked);
          assert.equal(missing, "[]");

          const image = join(folder, "memory.raw");
          await run.text(`hmp pmemsave 0 0x10000000 "${image}"`);
          const options = ["-q", "--offline", "-s", join(folder, "symbols"), "--cache-path", join(folder, "cache")];
          const args = [join(venv, "bin/vol"), ...options, "-f", image, "-r", "json", "linux.pslist"];
          const alone = spawnSync(join(venv, "bin/python3"), args, { encoding: "utf8", maxBuffer: 1 << 26 });
          assert.equal(alone.status, 0, alone.stderr);
          const rows = JSON.parse(alone.stdout) as { PID: number; COMM: string }[];
          const seen = await runRebox(["shell", "--image", image, "--json", "vol pslist"], 240_000);
          assert.equal(seen.status, 0, seen.stderr);
          const { data } = JSON.parse(seen.stdout) as { data: typeof rows };
          assert.deepEqual(
            data.map(({ PID, COMM }) => `${PID} ${COMM}`),
            rows.map(({ PID, COMM }) => `${PID} ${COMM}`),
          );
          const own = await run.data<{ pid: number; name: string }[]>("ps");
          assert.deepEqual(
            rows.map(({ PID, COMM }) => `${PID} ${COMM}`).sort(),
            own.map(({ pid, name }) => `${pid} ${name}`).sort(),
          );
        },
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

test("every example of docs/guides/volatility.md works", { skip: whyNoVolatility() }, async () => {
  const page = readFileSync(join(PROJECT, "docs/guides/volatility.md"), "utf8");
  const lines = [...page.matchAll(/^ {4}rebox> (.*)$/gm)].map(([, line]) => line!);
  const [code = ""] = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text!);
  assert.ok(lines.length >= 6 && code !== "");
  const folder = mkdtempSync(join(tmpdir(), "rebox-page-"));
  try {
    const body = code.replace(/^import .*\n/gm, "");
    const imported = /^import .*\n/gm.exec(code)?.[0] ?? "";
    const end = await withShell(
      {
        task: "busy",
        timeoutMs: 600_000,
        env: volatilityEnvironment(join(folder, "cache")),
        script: () => `
          ${imported}
          export function initialize_callbacks(): void {}
          export async function do_example(): Promise<string> { ${body}; return "example done"; }
          export const clean = (): void => {};
        `,
      },
      async (run) => {
        await run.truth("busy");
        for (const line of lines) assert.notEqual(await run.text(line), "", line);
        assert.match(await run.text("custom example"), /example done/);
        assert.match(await run.error("vol nosuch"), /Volatility has no plugin "nosuch"/);
        assert.match(await run.error("vol --what pslist"), /no option "--what"/);
        assert.equal((await run.data<{ state: string }>("status")).state, "running");
      },
    );
    assert.match(end.stdout, /plugin Volatility has no plugin "linux\.nosuch"/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync("/tmp/rebox-guest.json", { force: true });
  }
});
