import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { writeLaunchScript } from "../../src/lab/analysis/run-script";
import type { StartRequest } from "../../src/lab/analysis/target/start-request";
import { readTargetFormat } from "../../src/lab/analysis/target/target-format";
import { inFolder } from "../kit/in-folder";

const SHOW =
  '#!/bin/sh\nprintf "%s\\n" "$PWD" "$(id -un)" "$A" "$B" "${REBOX_RUN-none}"; for a; do printf "[%s]" "$a"; done';
const ARGS = ["a b", "", "'\"$HOME`id`\\", "new\nline", "-x", "ü*"];

/** Runs a launch script as a guest would: the target lies in a folder below /tmp. */
function launch(start: StartRequest, command?: string): string {
  const folder = mkdtempSync("/tmp/rebox-launch-");
  try {
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, "show"), SHOW, { mode: 0o755 });
    const disc = { path: "", folder: basename(folder), name: "show", source: "" };
    const script = writeLaunchScript({ disc, command, starter: [], variables: {}, start, mark: "mark" });
    return execFileSync("/bin/sh", ["-c", script], { encoding: "utf8" }).replaceAll(folder, "FOLDER");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("a target is started", () => {
  test("with arguments and variables of any text, in its folder", () => {
    const env = { A: "x 'y' \"$z\"", B: "" };
    const given = ARGS.map((arg) => `[${arg}]`).join("");
    assert.equal(launch({ args: ARGS, env }), `FOLDER\nroot\n${env.A}\n\nnone\n${given}`);
    assert.equal(launch({ args: ["1", "2 3"] }, 'echo "$2"; ./show "$@"'), "2 3\nFOLDER\nroot\n\n\nnone\n[1][2 3]");
  });

  test(
    "as another user, in another folder",
    { skip: process.getuid?.() !== 0 && "only root becomes another user" },
    () => {
      const shown = launch({ args: ["a'b"], env: { A: "1" }, user: "nobody", workingFolder: "/usr/lib" });
      assert.equal(shown, "/usr/lib\nnobody\n1\n\nnone\n[a'b]");
    },
  );

  test("by what its kind needs", async () => {
    await inFolder((folder) => {
      const elf = (type: number, entry: number, more = ""): Buffer => {
        const bytes = Buffer.alloc(64);
        bytes.write(`\x7fELF\x02\x01\x01${more}`, "latin1");
        bytes.writeUInt16LE(type, 16);
        bytes.writeUInt16LE(62, 18);
        bytes.writeBigUInt64LE(BigInt(entry), 24);
        return bytes;
      };
      const LIBRARY = ["env", 'LD_PRELOAD="$TARGET"', "/bin/true"];
      const kinds: readonly (readonly [string, string | Buffer, readonly string[]])[] = [
        ["a.py", "print(1)", ["python3"]],
        ["b.py", "#!/usr/bin/python3\nprint(1)", []],
        ["a.pl", "print 1", ["perl"]],
        ["a.txt", "echo 1", ["/bin/sh"]],
        ["a.jar", "PK\x03\x04xyz", ["java", "-jar"]],
        ["app", "PK\x03\x04\0\0META-INF/MANIFEST.MF", ["java", "-jar"]],
        ["any", "!<arch>\ndebian-binary   1", ["dpkg", "--install"]],
        ["any2", Buffer.from("edabeedb03", "hex"), ["rpm", "--install"]],
        ["m.ko", elf(1, 0), ["insmod"]],
        ["l.so.1", elf(3, 0x1000), LIBRARY],
        ["lib", elf(3, 0), LIBRARY],
        ["static-pie", elf(3, 0x1000), []],
        ["program", elf(2, 0x1000), []],
      ];
      mkdirSync(join(folder, "kinds"));
      for (const [name, content, starter] of kinds) {
        const file = join(folder, "kinds", name);
        writeFileSync(file, typeof content === "string" ? Buffer.from(content, "latin1") : content);
        assert.deepEqual(readTargetFormat(file).starter, starter, name);
      }
      const image = join(folder, "app.AppImage");
      writeFileSync(image, elf(2, 0x1000, "\0AI\x02"));
      assert.deepEqual(readTargetFormat(image).variables, { APPIMAGE_EXTRACT_AND_RUN: "1" });
      return Promise.resolve();
    });
  });
});
