import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type GuestKit, listKits } from "../kit/guests/guest-kits";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { readKitFiles } from "../kit/guests/kit-files";

interface FoundModule {
  readonly path: string;
  readonly base: string;
  /** "name address size" */
  readonly symbols: readonly string[];
  /** What the function `stay`, which is static, is called by its address. */
  readonly stay: string | null;
}

/** Lists the symbols that binutils' nm finds in a file, moved to where it was loaded. */
function readNm(file: string, base: bigint): string[] {
  const run = (command: string, ...args: string[]): string =>
    execFileSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, env: { ...process.env, LD_PRELOAD: "" } });
  const isFixed = /^ +Type: +EXEC/m.test(run("readelf", "-h", file));
  const lines = [...run("nm", "-f", "posix", file).split("\n"), ...run("nm", "-D", "-f", "posix", file).split("\n")];
  const symbols = new Set<string>();
  // Those of threads have no address of their own, and nm does not tell them from others: readelf does.
  const local = new Set(
    [...run("readelf", "-sW", file).matchAll(/ TLS +\S+ +\S+ +\S+ ([^@\s]+)/g)].map(([, name]) => name),
  );
  for (const line of lines) {
    const [name, type, value, size] = line.split(" ");
    if (value === undefined || value === "" || /^[aAUwvN]$/.test(type!)) continue;
    const plain = name!.replace(/@.*/, "");
    if (local.has(plain)) continue;
    const address = BigInt(`0x${value}`) + (isFixed ? 0n : base);
    symbols.add(`${plain} ${address.toString(16)} ${size === "" || size === undefined ? 0 : parseInt(size, 16)}`);
  }
  return [...symbols].sort();
}

const SCRIPT = (serial: string): string => `
  import { Engine, getModuleList, getProcessList, getSymbolList, vaToSym } from "rebox";
  ${scriptPrelude(serial)}
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    void untilTruth("zoo.reported").then(look).catch((error) => print(String(error.stack))).finally(() => Engine.get().quit());
    function look(): void {
      for (const wanted of ["greeter", "zoo keeper"]) {
        const { pgd } = getProcessList().find(({ name }) => name === wanted)!;
        const symbols = getSymbolList(pgd, "*");
        for (const { name, path, base } of getModuleList(pgd)) {
          if (path.startsWith("[")) continue;
          const own = symbols.filter(({ module }) => module === name);
          const stay = own.find((symbol) => symbol.name === "stay");
          print(JSON.stringify({
            path,
            base: String(base),
            symbols: own.map((symbol) => symbol.name + " " + symbol.address.toString(16) + " " + symbol.size),
            stay: (stay && vaToSym(pgd, stay.address + 1n)?.name) ?? null,
          }));
        }
      }
    }
  }
  export const clean = (): void => {};
`;

async function check(kit: GuestKit): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-symbols-"));
  try {
    const conf = join(folder, "pyrebox.conf");
    writeFileSync(conf, kit.profile === undefined ? "" : `[VOL]\nprofile: ${kit.profile}\n`);
    const run = await runGuest({
      task: "zoo",
      kit,
      reports: true,
      parameters: { kallsyms: 0 },
      timeoutMs: 120_000,
      reboxArgs: ["-c", conf],
      script: SCRIPT,
    });
    assert.equal(run.stderr, "");
    const files = readKitFiles(kit);
    const modules = run.messages.map((text) => JSON.parse(text) as FoundModule);
    assert.deepEqual(
      modules
        .map(({ path }) =>
          path
            .split("/")
            .at(-1)!
            .replace(/ld-linux.*/, "ld-linux"),
        )
        .sort(),
      ["greeter", "ld-linux", "libc.so.6", "libgreeting.so.1", "libguest.so.1", "zoo"],
      run.messages.join("\n").slice(0, 2000),
    );
    for (const { path, base, symbols, stay } of modules) {
      const file = join(folder, "file");
      writeFileSync(file, files.get(path) ?? assert.fail(`${path} is not in the initramfs`));
      const expected = readNm(file, BigInt(base));
      assert.deepEqual([...new Set(symbols)].sort(), expected, path);
      // This one is stripped; the others have symbols for linking at least.
      if (path !== "/bin/zoo") assert.ok(expected.length > 5, `${path}: ${expected.length}`);
      if (path === "/bin/greeter") assert.equal(stay, "stay");
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const kit of listKits()) {
  test(`on ${kit.release} the symbols of programs and libraries are all that nm finds in their files`, () =>
    check(kit));
}
