import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { PROJECT } from "../kit/project";

const SETUP = join(PROJECT, "native/setup");
const load = async <T>(file: string): Promise<T> => (await import(pathToFileURL(resolve(SETUP, file)).href)) as T;

test("a package is named as apt names it: with its architecture and its release", async () => {
  const { debianName } = await load<{ debianName(text: string): object }>("debian-name.mjs");
  const nothing = { architecture: undefined, release: undefined };
  assert.deepEqual(debianName("linux-image-amd64"), { ...nothing, name: "linux-image-amd64" });
  assert.deepEqual(debianName("linux-image-7.2.13+deb14-amd64"), {
    ...nothing,
    name: "linux-image-7.2.13+deb14-amd64",
  });
  assert.deepEqual(debianName("linux-image-amd64/bookworm-backports"), {
    name: "linux-image-amd64",
    architecture: undefined,
    release: "bookworm-backports",
  });
  assert.deepEqual(debianName("linux-image-686-pae:i386/bookworm"), {
    name: "linux-image-686-pae",
    architecture: "i386",
    release: "bookworm",
  });
  for (const wrong of ["", "a b", "x/../y", "--option", "name:", "name/", "name;ls"]) {
    assert.throws(() => debianName(wrong), /is no package/, wrong);
  }
});

test("each kernel has a directory of its own, and a file is told from a package", async () => {
  const { kernelDirectory } = await load<{ kernelDirectory(name: string): string }>("guest-kernel.mjs");
  assert.equal(kernelDirectory("linux-image-686-pae:i386/bookworm"), "linux-image-686-pae_i386_bookworm");
  assert.equal(kernelDirectory("linux-image-amd64/sid"), "linux-image-amd64_sid");
  assert.equal(kernelDirectory("./bzImage"), "file-bzImage");
  assert.equal(kernelDirectory("kernels/linux-image-6.1_amd64.deb"), "file-linux-image-6.1_amd64");
});

test("a kernel without types of its own needs its debug package, and kits that are not wanted are left out", async () => {
  const { debugPackageOf, isSkippedKernel } = await load<{
    debugPackageOf(name: string): string | undefined;
    isSkippedKernel(name: string, skipped: string): boolean;
  }>("guest-kernel.mjs");
  assert.equal(debugPackageOf("linux-image-686-pae:i386/bookworm"), "linux-image-686-pae-dbg:i386/bookworm");
  assert.equal(debugPackageOf("linux-image-686:i386/bookworm"), "linux-image-686-dbg:i386/bookworm");
  assert.equal(debugPackageOf("linux-image-amd64/trixie"), undefined);
  const name = "linux-image-686-pae:i386/bookworm";
  for (const skipped of ["linux-image-686-pae", `linux-image-amd64 , ${name}`, "linux-image-686-pae:i386"]) {
    assert.equal(isSkippedKernel(name, skipped), true, skipped);
  }
  for (const skipped of ["", ",", "linux-image-686", "linux-image-686-pae/sid"]) {
    assert.equal(isSkippedKernel(name, skipped), false, skipped);
  }
});
