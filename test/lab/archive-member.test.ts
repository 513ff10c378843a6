import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"; // prettier-ignore
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { extractMember } from "../../src/lab/analysis/target/archive-member";
import { getArchiveProgram } from "../../src/lab/analysis/export/archive-program";
import type { ArchiveRequest } from "../../src/lab/analysis/target/start-request";

let folder: string;
const signal = new AbortController().signal;
const at = (name: string) => join(folder, name);
const extract = (archive: string, request: ArchiveRequest = {}) =>
  extractMember(at(archive), request, at("out"), signal);
const textOf = async (archive: string, request?: ArchiveRequest) => readFileSync(await extract(archive, request), "utf8"); // prettier-ignore

before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-archive-"));
  mkdirSync(at("in/sub"), { recursive: true });
  writeFileSync(at("in/one"), "first");
  writeFileSync(at("in/sub/t w*o"), "second");
  writeFileSync(at("in/sub/-x"), "dash");
  symlinkSync("/etc/passwd", at("in/link"));
  writeFileSync(at("in/zeros"), Buffer.alloc(600 << 20));
  const run = (program: string, ...args: string[]) => execFileSync(program, args, { cwd: at("in"), stdio: "pipe" });
  const pack = (...args: string[]) => run(getArchiveProgram(), "a", "-snl", ...args);
  for (const name of ["a.zip", "a.7z"]) pack(at(name), "one", "sub", "link");
  pack("-pinfected", at("locked.zip"), "one");
  pack("-pinfected", "-mem=AES256", at("aes.zip"), "one");
  pack("-psecret", "-mhe=on", at("secret.7z"), "one");
  for (const [flag, name] of [["", "a.tar"], ["z", "a.tar.gz"], ["J", "a.tar.xz"]]) run("tar", `c${flag}f`, at(name!), "one", "sub", "link"); // prettier-ignore
  run("tar", "czf", at("bomb.tar.gz"), "zeros");
  pack("-mx1", at("bomb.zip"), "zeros");
  run("tar", "cf", at("escape.tar"), "--transform=s,^one$,../../../tmp/rebox-escaped,", "-P", "one");
  run("tar", "cf", at("twice.tar"), "one", "one");
  rmSync(at("in/zeros"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

describe("a file of an archive", () => {
  test("is taken out of each kind, with the customary password or another one", async () => {
    for (const archive of ["a.zip", "a.7z", "a.tar", "a.tar.gz", "a.tar.xz"]) {
      assert.equal(await textOf(archive, { member: "one" }), "first", archive);
      assert.equal(await textOf(archive, { member: "sub/t w*o" }), "second", archive);
      assert.equal(await textOf(archive, { member: "sub/-x" }), "dash", archive);
    }
    for (const archive of ["locked.zip", "aes.zip"]) assert.equal(await textOf(archive), "first", archive);
    assert.equal(await textOf("secret.7z", { password: "secret" }), "first");
    await assert.rejects(extract("secret.7z"), /password/);
    await assert.rejects(
      extract("locked.zip", { password: "other" }),
      /the password is wrong; give it with --password/,
    );
  });

  test("has to be one that is there, a file, and only once", async () => {
    await assert.rejects(extract("a.zip"), /has 3 files: .*"one".*; choose one with --member/);
    await assert.rejects(extract("a.tar", { member: "two" }), /has no two; it has "one"/);
    for (const archive of ["a.zip", "a.tar", "a.7z"]) {
      await assert.rejects(extract(archive, { member: "link" }), /link of .* is no file: a folder, a link or a device/, archive); // prettier-ignore
    }
    await assert.rejects(extract("twice.tar", { member: "one" }), /has 2 members one/);
    writeFileSync(at("text.zip"), "no archive");
    await assert.rejects(extract("text.zip"), /is no zip, 7z or tar archive/);
    writeFileSync(at("torn.zip"), readFileSync(at("a.zip")).subarray(0, 60));
    await assert.rejects(extract("torn.zip", { member: "one" }), /torn\.zip/);
  });

  test("is never larger than the limit, and lies nowhere but in its folder", async () => {
    for (const archive of ["bomb.tar.gz", "bomb.zip"]) await assert.rejects(extract(archive), /is larger than 512 MiB/, archive); // prettier-ignore
    assert.equal(await textOf("escape.tar"), "first");
    assert.ok(!existsSync("/tmp/rebox-escaped"));
    assert.ok(readdirSync(at("out")).includes("rebox-escaped"));
  });
});
