import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, test } from "node:test";
import {
  checkAddon,
  checkDisk,
  checkFirmware,
  checkGuest,
  checkNode,
  checkPatches,
  checkQemu,
} from "../../src/cli/doctor/checks";
import { createDoctorCommand } from "../../src/cli/doctor/doctor-command";
import { getVersionText } from "../../src/cli/versions";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-doctor-"));
  delete process.env.REBOX_BUILD;
});

afterEach(() => {
  rmSync(folder, { recursive: true });
  delete process.env.REBOX_BUILD;
});

function write(path: string, text = ""): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

function writeBuilt(patches: Record<string, string>, where = "build/qemu"): void {
  const hashed = Object.entries(patches).map(([name, text]) => {
    return { name, sha256: createHash("sha256").update(text).digest("hex") };
  });
  write(`${where}/libqemu-system-x86_64.so`);
  write(`${where}/info.json`, JSON.stringify({ version: "10.0.13", patches: hashed }));
}

function writePatches(patches: Record<string, string>): void {
  write("qemu-patches/series", `# order matters\n${Object.keys(patches).join("\n")}\n`);
  for (const [name, text] of Object.entries(patches)) write(`qemu-patches/${name}`, text);
}

describe("rebox doctor", () => {
  test("wants the Node of package.json or newer on 64-bit x86 Linux", () => {
    assert.equal(checkNode("v20.11.0", "linux-x64").status, "ok");
    assert.equal(checkNode("v20.10.0", "linux-x64").status, "fail");
    assert.equal(checkNode("v18.19.0", "linux-x64").status, "fail");
    assert.match(checkNode("v22.0.0", "linux-arm64").advice ?? "", /64-bit x86/);
  });

  test("finds the QEMU library and its version", () => {
    assert.match(checkQemu(folder).detail, /build\/qemu\/libqemu-system-x86_64\.so is missing/);
    writeBuilt({});
    assert.deepEqual(checkQemu(folder), { name: "QEMU", status: "ok", detail: "10.0.13 as a library in build/qemu" });
    write("build/qemu/info.json", "{");
    assert.match(checkQemu(folder).detail, /info\.json is missing or damaged/);
  });

  test("looks at the sanitizer's build when REBOX_BUILD=asan", () => {
    writeBuilt({}, "build/qemu-asan");
    assert.equal(checkQemu(folder).status, "fail");
    process.env.REBOX_BUILD = "asan";
    assert.equal(checkQemu(folder).status, "ok");
    assert.match(checkAddon(folder).detail, /^build\/addon-asan\/Release\/rebox\.node is missing/);
  });

  test("notices patches that were changed, added, dropped or reordered since the build", () => {
    const patches = { "1.patch": "one", "2.patch": "two" };
    writePatches(patches);
    assert.equal(checkPatches(folder).status, "warn");
    writeBuilt(patches);
    assert.equal(checkPatches(folder).status, "ok");
    for (const built of [
      { "1.patch": "one", "2.patch": "old" },
      { "1.patch": "one" },
      { ...patches, "3.patch": "x" },
    ]) {
      writeBuilt(built);
      assert.equal(checkPatches(folder).status, "fail", JSON.stringify(built));
    }
    writeBuilt({ "2.patch": "two", "1.patch": "one" });
    assert.match(checkPatches(folder).detail, /\(1\.patch differs\)/);
    rmSync(join(folder, "qemu-patches/2.patch"));
    assert.match(checkPatches(folder).detail, /names 2\.patch, which is missing/);
  });

  test("tells an addon that is missing from one that does not load, and survives one that crashes", () => {
    assert.match(checkAddon(folder).detail, /rebox\.node is missing/);
    write("build/addon/Release/rebox.node", "no ELF file");
    assert.equal(checkAddon(folder).status, "fail");
    assert.match(checkAddon(folder).detail, /does not load: Error: .*rebox\.node/);
  });

  test("names the firmware that is missing, and its package", () => {
    for (const file of ["bios-256k.bin", "vgabios-stdvga.bin", "linuxboot_dma.bin", "kvmvapic.bin"]) write(`a/${file}`);
    const result = checkFirmware([join(folder, "a"), join(folder, "b")]);
    assert.match(result.detail, /: efi-e1000\.rom$/);
    assert.match(result.advice ?? "", /apt-get install ipxe-qemu,/);
    write("b/efi-e1000.rom");
    assert.equal(checkFirmware([join(folder, "a"), join(folder, "b")]).status, "ok");
  });

  test("only warns of a missing guest kit", () => {
    assert.equal(checkGuest(folder).status, "warn");
    write("build/guest/vmlinuz");
    assert.match(checkGuest(folder).detail, /: initramfs\.cpio\.gz$/);
    write("build/guest/initramfs.cpio.gz");
    assert.equal(checkGuest(folder).status, "ok");
  });

  test("measures the disk of a folder that does not exist yet", () => {
    assert.match(checkDisk(join(folder, "not/yet")).detail, /^\d+\.\d GiB free for .*not\/yet$/);
  });

  for (const [options, pattern] of [
    [[], /^ok {4}Node .*\n(.*\n)*fail {2}QEMU .*\n {18}-> build it: npm run setup/],
    [["--json"], /"name": "QEMU",\n {4}"status": "fail"/],
  ] as const) {
    test(`prints every check, and ends with 1 when one fails (${options[0] ?? "text"})`, async () => {
      const stdout = new PassThrough();
      let status = -1;
      const command = createDoctorCommand(stdout, folder, (value) => {
        status = value;
      });
      await command.parseAsync([...options], { from: "user" });
      assert.equal(status, 1);
      assert.match(String(stdout.read()), pattern);
    });
  }
});

test("the version text says when QEMU is not built, and which QEMU when it is", () => {
  write("package.json", '{"name":"rebox","version":"1.2.3"}');
  assert.equal(getVersionText(folder), `rebox 1.2.3\nQEMU not built yet (run: npm run setup)\nNode ${process.version}`);
  writeBuilt({});
  assert.match(getVersionText(folder), /\nQEMU 10\.0\.13\n/);
});

test("the engine of a package is found beside rebox, and refused by name when it is of another version", () => {
  const engine = "node_modules/rebox-engine-linux-x64";
  write("node_modules/rebox/package.json", '{"name":"rebox","version":"1.2.3"}');
  write(`${engine}/package.json`, '{"version":"1.2.3"}');
  write(`${engine}/qemu/info.json`, JSON.stringify({ version: "10.0.13", patches: [] }));
  const rebox = join(folder, "node_modules/rebox");
  assert.match(getVersionText(rebox), /\nQEMU 10\.0\.13\n/);
  write(`${engine}/package.json`, '{"version":"1.2.4"}');
  assert.throws(() => getVersionText(rebox), {
    code: "REBOX_INSTALLATION",
    message: /is of version 1\.2\.4, and rebox is 1\.2\.3/,
  });
});
