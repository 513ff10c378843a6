import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { DebianRoot, findRootProblem, listWheels } from "../kit/guests/debian-root";
import { PROJECT } from "../kit/project";

const ENGINE = "node_modules/rebox-engine-linux-x64";
const GUEST = "node_modules/rebox-guest-linux-x64/guest";
/** Every Linux with Node.js has these. */
const GIVEN = /^\s*(linux-vdso|\/lib64\/ld-linux-x86-64|lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s))\.so/;

let folder: string;
let tarballs: readonly string[];
/** As of a user who has nothing yet, and no network. */
let env: NodeJS.ProcessEnv;

const start = (program: string, ...args: readonly string[]) =>
  spawnSync(program, args, { cwd: folder, env, encoding: "utf8", maxBuffer: 1 << 26 });

function run(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = start(program, ...args);
  assert.equal(status, 0, `${program} ${args.join(" ")}:\n${stdout}\n${stderr}`);
  return stdout;
}

const rebox = (...args: readonly string[]) => run(join(folder, "node_modules/.bin/rebox"), ...args);

before(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "rebox-project-")));
  mkdirSync(join(folder, "home"));
  env = {
    ...process.env,
    HOME: join(folder, "home"),
    XDG_CACHE_HOME: join(folder, "home/.cache"),
    NODE_PATH: undefined,
    // The packages have the usual build, also where the tests run on the sanitizer's.
    REBOX_BUILD: undefined,
    LD_PRELOAD: undefined,
  };
  execFileSync(process.execPath, [join(PROJECT, "native/setup/package/main.mjs")], { stdio: "pipe" });
  const packages = join(PROJECT, "build/packages");
  tarballs = readdirSync(packages).filter((name) => name.endsWith(".tgz")).map((name) => join(packages, name)); // prettier-ignore
  run("npm", "init", "-y");
  run("npm", "install", "--offline", "--no-audit", "--no-fund", ...tarballs);
});

after(() => rmSync(folder, { recursive: true }));

describe("a project of a user's, with the packages", () => {
  test("nothing that rebox needs is missing, and no file of it is outside of the project", () => {
    assert.match(rebox("--version"), /^rebox \d+\.\d+\.\d+\nQEMU \d/);
    const checks = JSON.parse(rebox("doctor", "--json")) as { name: string; status: string; detail: string }[];
    assert.deepEqual(checks.filter(({ status, name }) => status !== "ok" && name !== "disk space"), []); // prettier-ignore
  });

  test("all that the engine loads is in its package, or in every system", () => {
    const files = ["addon/Release/rebox.node", "qemu/libqemu-system-x86_64.so", "qemu/qemu-img", "ext4/ext4_reader"];
    const libraries = readdirSync(join(folder, ENGINE, "lib")).map((name) => `lib/${name}`);
    for (const file of [...files, ...libraries]) {
      const others = run("ldd", join(folder, ENGINE, file)).split("\n").filter((line) => line !== "" && !GIVEN.test(line)); // prettier-ignore
      for (const line of others) assert.ok(line.includes(` => ${join(folder, ENGINE)}/`) || line.includes("statically"), `${file}: ${line}`); // prettier-ignore
    }
    const { stdout } = start(join(folder, ENGINE, "qemu/qemu-img"), "--version");
    assert.match(stdout, /^qemu-img version/);
  });

  test("a checkout of the same sources takes the engine in place of building QEMU", async () => {
    const { PackagedEngine } = (await import(
      pathToFileURL(join(PROJECT, "native/setup/packaged-engine.mjs")).href
    )) as {
      PackagedEngine: new (folders: object) => { take(task: object, source: undefined, setting: string): string };
    };
    const build = join(folder, "checkout/build");
    const task = { say: assert.fail };
    assert.match(
      new PackagedEngine({ build, cache: join(folder, "engines") }).take(task, undefined, folder),
      /^rebox-engine-linux-x64 /,
    );
    const loaded = run("ldd", join(build, "qemu/libqemu-system-x86_64.so"));
    assert.doesNotMatch(loaded, /not found/);
    assert.match(loaded, /\/engines\/engine\/|checkout\/build\/qemu\/\.\.\/lib\//);
  });

  test("the bill of materials names QEMU, and each library with its version and source", () => {
    const text = readFileSync(join(folder, ENGINE, "bill-of-materials.json"), "utf8");
    const { components } = JSON.parse(text) as { components: { name: string; version?: string }[] };
    assert.ok(components.some(({ name }) => name === "qemu"));
    for (const { name, version } of components) assert.match(version ?? "", /\d/, name);
    assert.ok(!text.includes(process.env.HOME ?? "/root/"));
  });

  test("rebox init makes a script that types, editors and rebox check accept, and leaves what is there", () => {
    assert.equal(rebox("init"), "scripts/my_script.ts\ntsconfig.json\n.vscode/tasks.json\n");
    assert.equal(rebox("check", "scripts/my_script.ts"), "scripts/my_script.ts: ok\n");
    const tsc = join(PROJECT, "node_modules/typescript/bin/tsc");
    run(process.execPath, tsc, "-p", folder);
    const wrong = 'import { readPa } from "rebox";\nconst one: string = readPa(0n, 8);\nconsole.log(one, nothing);\n';
    writeFileSync(join(folder, "scripts/wrong.ts"), wrong);
    assert.match(
      start(process.execPath, tsc, "-p", folder).stdout,
      /wrong\.ts\(2,7\): error TS2322.*\n.*TS2304.*nothing/,
    );
    rmSync(join(folder, "scripts/wrong.ts"));
    writeFileSync(
      join(folder, "scripts/my_script.ts"),
      `${readFileSync(join(folder, "scripts/my_script.ts"), "utf8")}// mine\n`,
    );
    assert.match(rebox("init"), /^scripts\/my_script\.ts is there already\n/);
    assert.match(readFileSync(join(folder, "scripts/my_script.ts"), "utf8"), /\/\/ mine\n$/);
  });

  test("an editor completes the names of rebox", () => {
    const file = join(folder, "scripts/my_script.ts");
    const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(join(folder, "tsconfig.json"), ts.sys.readFile).config, ts.sys, folder); // prettier-ignore
    const service = ts.createLanguageService({
      ...{ getCompilationSettings: () => options, getScriptFileNames: () => [file], getScriptVersion: () => "1" },
      getScriptSnapshot: (name) =>
        existsSync(name) ? ts.ScriptSnapshot.fromString(readFileSync(name, "utf8")) : undefined,
      ...{ getCurrentDirectory: () => folder, getDefaultLibFileName: ts.getDefaultLibFilePath },
      ...{ fileExists: ts.sys.fileExists, readFile: ts.sys.readFile, readDirectory: ts.sys.readDirectory },
    });
    const at = readFileSync(file, "utf8").indexOf("callbacks.addCallback") + "callbacks.".length;
    const names = service.getCompletionsAtPosition(file, at, {})?.entries.map(({ name }) => name) ?? [];
    assert.ok(names.includes("addCallback") && names.includes("clean"), names.join(" "));
  });

  test("the manual page is where npm install -g takes it from", () => {
    const rebox = join(folder, "node_modules/rebox");
    const { man } = JSON.parse(readFileSync(join(rebox, "package.json"), "utf8")) as { man: string[] };
    assert.match(readFileSync(join(rebox, man[0]!), "utf8"), /^\.TH REBOX 1 /);
  });

  test("every door is there for plain programs", () => {
    const doors = ["rebox", "rebox/trusted", "rebox/investigation", "rebox/lab"];
    const lines = doors.map((door, index) => `import * as door${index} from "${door}";`);
    const counts = doors.map((_, index) => `Object.keys(door${index}).length`);
    writeFileSync(
      join(folder, "doors.mjs"),
      `${lines.join("\n")}\nimport { Engine } from "rebox";\nconsole.log(typeof Engine, ${counts.join(", ")});`,
    );
    const [type, ...numbers] = run(process.execPath, "doors.mjs").trim().split(" ");
    assert.equal(type, "function");
    assert.ok(
      numbers.every((number) => Number(number) > 5),
      numbers.join(" "),
    );
  });

  test("the script runs in the sandbox on the guest kit", () => {
    const kit = ["-kernel", join(GUEST, "vmlinuz"), "-initrd", join(GUEST, "initramfs.cpio.gz")];
    const qemu = ["-m", "256", "-display", "none", "-nic", "none", "-no-reboot", "-serial", "null", ...kit];
    const append = ["-append", "no_timer_check panic=-1 rebox.run=poweroff"];
    const printed = rebox("run", "--script", "scripts/my_script.ts", "--timeout", "120", "--", ...qemu, ...append);
    assert.match(printed, /^\[my_script\] process \d+: \S+, address space 0x[0-9a-f]+$/m);
  });

  test("a test of the user's starts an engine of its own, as the guide shows", () => {
    const guide = readFileSync(join(PROJECT, "docs/guides/own-project.md"), "utf8");
    const [, code] = /^```ts\n([^]*?)^```$/m.exec(guide)!;
    writeFileSync(join(folder, "guest.test.mts"), code!);
    const tsc = join(PROJECT, "node_modules/typescript/bin/tsc");
    run(
      process.execPath,
      tsc,
      "--target",
      "es2022",
      "--module",
      "nodenext",
      "--strict",
      "--skipLibCheck",
      "guest.test.mts",
    );
    Object.assign(env, {
      KERNEL: join(GUEST, "vmlinuz"),
      INITRD: join(GUEST, "initramfs.cpio.gz"),
      NODE_TEST_CONTEXT: undefined,
    });
    assert.match(run(process.execPath, "--test", "guest.test.mjs"), /^(# |ℹ )pass 1$/m);
  });

  test("an engine of another version is refused by name", () => {
    const file = join(folder, ENGINE, "package.json");
    const own = readFileSync(file, "utf8");
    writeFileSync(file, own.replace(/"version": "[^"]*"/, '"version": "0.0.1"'));
    try {
      const { status, stderr } = start(join(folder, "node_modules/.bin/rebox"), "--version");
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^rebox: rebox-engine-linux-x64 in .* is of version 0\.0\.1, and rebox is \d+\.\d+\.\d+: install/,
      );
    } finally {
      writeFileSync(file, own);
    }
  });

  test("an upgrade leaves nothing of the version before", () => {
    rebox("--version");
    const rest = join(folder, "node_modules/rebox/build/bundle/code");
    assert.ok(existsSync(rest), "the code that V8 has made is what a version leaves when it runs");
    run("npm", "install", "--offline", "--no-audit", "--no-fund", ...makeNextVersion("99.0.1"));
    assert.match(rebox("--version"), /^rebox 99\.0\.1\n/);
    rmSync(rest, { recursive: true, force: true });
    for (const name of ["rebox", "rebox-engine-linux-x64", "rebox-guest-linux-x64"]) {
      const expected = listFiles(join(folder, "next", name, "package"));
      assert.deepEqual(listFiles(join(folder, "node_modules", name)), expected);
    }
  });

  test("nothing of them is left when they are removed", () => {
    run("npm", "uninstall", "--offline", "rebox", "rebox-engine-linux-x64", "rebox-guest-linux-x64");
    const left = readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith("."));
    assert.deepEqual(left, []);
    assert.ok(existsSync(join(folder, "scripts/my_script.ts")));
  });
});

/** Makes tarballs of a version that has lost a document and two examples. */
function makeNextVersion(version: string): string[] {
  return ["rebox", "rebox-engine-linux-x64", "rebox-guest-linux-x64"].map((name) => {
    const parent = join(folder, "next", name);
    mkdirSync(parent, { recursive: true });
    execFileSync("cp", ["-a", join(PROJECT, "build/packages", name), join(parent, "package")]);
    const file = join(parent, "package/package.json");
    const manifest = JSON.parse(readFileSync(file, "utf8")) as { peerDependencies?: Record<string, string> };
    const peerDependencies = Object.fromEntries(
      Object.keys(manifest.peerDependencies ?? {}).map((peer) => [peer, version]),
    );
    writeFileSync(file, JSON.stringify({ ...manifest, version, peerDependencies }));
    if (name === "rebox") for (const gone of ["docs/guides", "CHANGELOG.md"]) rmSync(join(parent, "package", gone), { recursive: true }); // prettier-ignore
    const tarball = join(folder, "next", `${name}.tgz`);
    execFileSync("tar", ["-I", "gzip -1", "-cf", tarball, "-C", parent, "package"]);
    return tarball;
  });
}

/** Lists the files below a folder, without those of packages that a package brings along. */
function listFiles(top: string): string[] {
  const names = readdirSync(top, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
  return names.map(({ parentPath, name }) => relative(top, join(parentPath, name))).filter((path) => !path.startsWith("node_modules/")).sort(); // prettier-ignore
}

// A user without rights, network, compiler, or anything else of this machine.
for (const [release, node] of [
  ["bookworm", "20"],
  ["bookworm", "24"],
  ["trixie", "22"],
] as const) {
  const skip = findRootProblem(release, node);
  test(
    `in a Debian ${release} with nothing but Node.js ${node}, the packages are installed, used and removed`,
    { skip },
    () => {
      using root = new DebianRoot(release, node);
      for (const tarball of tarballs) root.give(tarball);
      root.run("npm config set prefix ~/.npm; ls -A > before; npm install -g --offline --no-audit --no-fund ./*.tgz");
      assert.match(root.run("rebox --version"), new RegExp(`^rebox .*\\nQEMU .*\\nNode v${node}\\.`));
      const lines = root.run("rebox demo | head -3").split("\n");
      assert.match(lines[0]!, /^A Linux guest boots inside this Node process/);
      const kit = "$HOME/.npm/lib/node_modules/rebox-guest-linux-x64/guest";
      const machine = `-m 256 -display none -nic none -no-reboot -serial null -kernel ${kit}/vmlinuz -initrd ${kit}/initramfs.cpio.gz`;
      const append = "no_timer_check panic=-1 rebox.run";
      const script = `rebox run --script scripts/my_script.ts --timeout 300 -- ${machine} -append "${append}=poweroff"`;
      assert.match(root.run(`mkdir own; cd own; rebox init; ${script}`), /^\[my_script\] process \d+: \S+/m);
      const asked = [
        `rebox run --control guest.sock -- ${machine} -append "${append}=idle" &`,
        `until rebox attach guest.sock "ps" > ps 2> /dev/null && grep -q kthreadd ps; do sleep 0.2; done; cat ps`,
        `rebox dump guest.sock guest.elf; rebox shell --image guest.elf "ps"; rebox attach guest.sock "hmp quit"; wait`,
      ];
      const answers = root.run(asked.join("\n"));
      assert.equal(answers.match(/^ +2 +0 .* kthreadd /gm)?.length, 2, answers);
      checkVolatility(root, release === "trixie");
      root.run("npm uninstall -g rebox rebox-engine-linux-x64 rebox-guest-linux-x64");
      // Beside what npm itself keeps of all packages, the tarballs, and the cache, of which the guide says that it may be removed.
      const left = 'find ~ /tmp -name "*rebox*" ! -path "*/.npm/_*" ! -name "*.tgz" ! -path "*/.cache/rebox/*"';
      assert.equal(root.run(left), "/home/user/.cache/rebox\n");
      const made = new Set(root.run("ls -A ~ | grep -vxFf before").trim().split("\n"));
      // The demo's picture is in results.
      for (const own of ["guest.elf", "own", "ps", "results", "wheels", ".cache", ".npm"]) made.delete(own);
      assert.deepEqual([...made], []);
      assert.equal(
        root.run("ls ~/.npm/lib/node_modules ~/.npm/bin"),
        "/home/user/.npm/bin:\n\n/home/user/.npm/lib/node_modules:\n",
      );
    },
  );
}

/** Asks about Volatility, installs it where Python is, and has it read the image guest.elf. */
function checkVolatility(root: DebianRoot, hasPython: boolean): void {
  const ask = () => {
    const checks = JSON.parse(root.run("rebox doctor --lab --json")) as Record<"name" | "status" | "detail" | "advice", string>[]; // prettier-ignore
    return checks.find(({ name }) => name === "Volatility")!;
  };
  const missing = /^rebox: there is no Volatility 3: no "vol" on the PATH; install it: rebox vol install; /;
  assert.match(root.run("rebox vol which || true"), missing);
  const { status, detail, advice } = ask();
  assert.equal(status, "warn");
  if (!hasPython) {
    assert.match(detail, /^Python 3 with venv is missing: /);
    assert.equal(advice, "install python3 python3-venv, then: rebox vol install");
    return assert.match(root.run("rebox vol install || true"), /^rebox: there is no Python 3 with venv: apt install /);
  }
  assert.match(detail, /^it is not installed: /);
  assert.equal(advice, "install it: rebox vol install");
  assert.match(
    root.run("rebox vol install || true"),
    /rebox: .* failed: .*without a network: rebox vol install --wheels /,
  );
  for (const wheel of listWheels()) root.give(wheel, "wheels");
  assert.match(root.run("rebox vol install --wheels wheels"), /^Volatility 3 is in /m);
  assert.match(root.run("rebox vol which"), /: Volatility \d+\.\d+\.\d+, \d{2,} plugins$/m);
  assert.equal(ask().status, "ok");
  assert.match(root.run('rebox shell --image guest.elf "vol pslist"'), /^.* 2 .* kthreadd /m);
}
