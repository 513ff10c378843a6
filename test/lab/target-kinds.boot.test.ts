import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { getArchiveProgram } from "../../src/lab/analysis/export/archive-program";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { analyze } from "../kit/lab/analyze-run";
import type { TestLab } from "../kit/lab/lab-run";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";

/** Writes the path of a file into a file of its own name when it is loaded, by system calls alone. */
const WRITES = (path: string, isLibrary: boolean) => `
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
${isLibrary ? "__attribute__((constructor)) static void begin(void)" : "int main(void)"} {
  const char *unpacks = getenv("APPIMAGE_EXTRACT_AND_RUN");
  int file = open(unpacks ? "${path}-unpacks" : "${path}", O_CREAT | O_WRONLY, 0600);
  write(file, "x", 1);
  close(file);
  ${isLibrary ? "" : "return 0;"}
}`;

/** A module of the guest's own kernel, which has no file of it that is not compressed. */
const MODULE = `#!/bin/sh
python3 -c '
import glob, lzma, os
[path] = glob.glob("/lib/modules/" + os.uname().release + "/kernel/drivers/net/dummy.ko*")
data = open(path, "rb").read()
open("/tmp/dummy.ko", "wb").write(lzma.decompress(data) if path.endswith(".xz") else data)'`;

function makePackage(lab: TestLab): string {
  const control = "Package: own\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: own\n";
  lab.write("own/DEBIAN/control", control);
  const script = lab.write("own/DEBIAN/postinst", "#!/bin/sh\necho x > /tmp/kind-deb\n");
  execFileSync("chmod", ["-R", "755", lab.path("own/DEBIAN"), script]);
  execFileSync("dpkg-deb", ["--root-owner-group", "--build", lab.path("own"), lab.path("own.deb")], { stdio: "pipe" });
  return lab.path("own.deb");
}

function compile(lab: TestLab, name: string, path: string, options: readonly string[]): string {
  const source = lab.write(`${name}.c`, WRITES(path, options.includes("-shared")));
  execFileSync("gcc", [...options, "-o", lab.path(name), source]);
  return lab.path(name);
}

/** Analyses a file on the Debian, and returns its report. */
async function run(lab: TestLab, target: string, id: number): Promise<AnalysisReport> {
  await analyze(lab, "--machine", "office", "--target", target, "--timeout", "60");
  return JSON.parse(lab.read(`analyses/${id}/report.json`)) as AnalysisReport;
}

/** Whether the target itself, or what acts for it, has written a file. */
function hasWritten({ files }: AnalysisReport, wanted: string): boolean {
  return files.some(({ type, path, origin }) => type === "file.written" && path === wanted && origin === "target");
}

const MODULES = "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n[artefacts]\nenabled = yes\n";

test("on a real system files are started by what they are", { skip: NEEDS_DEBIAN }, async () => {
  await withDebian([], async (lab) => {
    lab.write("conf/auxiliary.conf", MODULES);
    const image = compile(lab, "kind.AppImage", "/tmp/kind-appimage", ["-static"]);
    execFileSync("dd", [`of=${image}`, "bs=1", "seek=8", "conv=notrunc"], { input: "AI\x02", stdio: ["pipe", "pipe", "pipe"] }); // prettier-ignore
    const kinds: Readonly<Record<string, string>> = {
      [lab.write("kind.py", 'open("/tmp/kind-python", "w").write("x")\n')]: "/tmp/kind-python",
      [makePackage(lab)]: "/tmp/kind-deb",
      [compile(lab, "kind.so", "/tmp/kind-so", ["-shared", "-fPIC"])]: "/tmp/kind-so",
      [image]: "/tmp/kind-appimage-unpacks",
    };
    let id = 0;
    for (const [target, written] of Object.entries(kinds)) {
      const report = await run(lab, target, ++id);
      assert.equal(report.analysis.reason, "the target ended with status 0", target);
      assert.ok(hasWritten(report, written), `${written}: ${JSON.stringify(report.files.map(({ path }) => path))}`);
    }
    const fetched = await run(lab, lab.write("module.sh", MODULE), ++id);
    const { sha256 } = fetched.artefacts.find(({ path }) => path === "/tmp/dummy.ko")!;
    copyFileSync(lab.path(`analyses/${id}/artefacts/${sha256}`), lab.path("dummy.ko"));
    const loaded = await run(lab, lab.path("dummy.ko"), id + 1);
    assert.equal(loaded.analysis.reason, "the target ended with status 0");
    const modules = loaded.control.filter(({ type, origin }) => type === "kernel.module" && origin === "target");
    assert.match(String(modules[0]?.["path"]), /\/dummy\.ko$/);
  });
});

test(
  "what the system lacks the starter of has failed by its name, and has no verdict",
  { skip: NEEDS_DEBIAN },
  async () => {
    await withDebian([], async (lab) => {
      lab.write("jar/META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: A\n");
      execFileSync(getArchiveProgram(), ["a", "-tzip", lab.path("kind.jar"), "META-INF"], { cwd: lab.path("jar"), stdio: "pipe" }); // prettier-ignore
      lab.write("kind.rb", "print 1\n");
      writeFileSync(
        lab.path("kind.rpm"),
        Buffer.concat([Buffer.from([0xed, 0xab, 0xee, 0xdb, 3, 0]), Buffer.alloc(200)]),
      );
      const lacks: Readonly<Record<string, RegExp>> = {
        "kind.jar": /the guest cannot execute the target: the guest lacks java \(ENOENT\); it is a program for Java$/,
        "kind.rb": /the guest cannot execute the target: the guest lacks ruby \(ENOENT\); it is a Ruby program$/,
        "kind.rpm": /the guest cannot execute the target: the guest lacks rpm \(ENOENT\); it is a package for RPM$/,
      };
      for (const [index, [name, reason]] of Object.entries(lacks).entries()) {
        const { analysis, verdict } = await run(lab, lab.path(name), index + 1);
        assert.equal(analysis.outcome, "failed", name);
        assert.match(analysis.reason!, reason);
        assert.equal(verdict, undefined);
      }
    });
  },
);
