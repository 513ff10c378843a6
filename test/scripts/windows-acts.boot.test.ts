import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { withNt } from "../kit/nt/nt-run";
import { PROJECT } from "../kit/project";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const OPTIONS = { skip: WITHOUT_WINDOWS_TOOLS };
/** The program does what it does when it runs for the second time. */
const SCRIPT = ["start smss.exe", "hold", "start actor.exe", "hold", "start other.exe", "hold"];
const ACTS = () => `export * from "${PROJECT}/scripts/windows_acts";`;
/** A script in the sandbox imports what lies beside it. */
const COPIED = (folder: string) => {
  const files = readdirSync(join(PROJECT, "scripts")).filter((name) => /^(windows_acts|_.*)\.ts$/.test(name));
  for (const name of files) copyFileSync(join(PROJECT, "scripts", name), join(folder, name));
  return `export * from "./windows_acts";`;
};
const RUN = "\\REGISTRY\\MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run";
const UPDATER = "\\??\\C:\\Users\\Public\\updater.exe";
const VICTIM = { target: 12, targetName: "smss.exe" };

const EXPECTED = [
  { act: "file.made", path: UPDATER, how: "created", kind: "file" },
  { act: "file.written", path: UPDATER },
  { act: "file.renamed", path: UPDATER, to: "\\??\\C:\\n.exe" },
  { act: "file.removed", path: UPDATER },
  { act: "registry.made", key: RUN },
  {
    act: "registry.set",
    key: RUN,
    name: "Updater",
    valueType: "REG_SZ",
    data: "C:\\Users\\Public\\updater.exe /quiet",
  },
  { act: "registry.set", key: RUN, name: "Old", valueType: "REG_DWORD", data: 7 },
  { act: "registry.removed", key: RUN, name: "Old" },
  { act: "process.opened", rights: "0x1fffff", ...VICTIM },
  { act: "process.memory", rights: "writable and executable", way: "NtAllocateVirtualMemory", ...VICTIM },
  { act: "process.injected", way: "NtWriteVirtualMemory", ...VICTIM },
  { act: "process.injected", way: "NtCreateThreadEx", ...VICTIM },
  { act: "process.memory", rights: "writable and executable", way: "NtProtectVirtualMemory" },
  { act: "kernel.module", key: "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\evil", way: "NtLoadDriver" },
  { act: "network.connected", address: "192.0.2.7", port: 8080, device: "\\Device\\Afd\\Endpoint" },
];

for (const layout of ["windows-7-7601", "windows-10-19041"]) {
  test(
    `the acts of a program of ${layout} are told from its system calls, those that succeed and each once`,
    OPTIONS,
    async () => {
      const place = mkdtempSync(join(tmpdir(), "rebox-nt-acts-"));
      const file = join(place, "acts.jsonl");
      try {
        const { truth } = await withNt({ script: SCRIPT, rebox: ACTS, layout }, async (run) => {
          await run.untilHold(1);
          assert.match(await run.text(`custom windows_acts_to ${file}`), /^telling acts into .*acts\.jsonl$/);
          await run.release();
          await run.untilHold(2);
          while (!run.truth().some(({ name, code }) => name === "NtDeviceIoControlFile" && code === 0x12007n));
          await run.release();
          await run.untilHold(3);
          assert.equal(await run.text("custom windows_acts_end"), "telling no more");
        });
        const told = readFileSync(file, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as object); // prettier-ignore
        const actor = truth.find(({ event, name }) => event === "process" && name === "actor.exe")!;
        assert.deepEqual(
          told,
          EXPECTED.map(({ act, ...facts }) => ({ act, pid: Number(actor.pid), process: "actor.exe", ...facts })),
        );
        // What the kernel was asked for: the calls that failed, or changed nothing, are not among the acts.
        const calls = truth.filter(({ event }) => event === "call").map(({ name }) => name);
        assert.deepEqual(
          ["NtWriteFile", "NtCreateFile", "NtWriteVirtualMemory", "NtTerminateProcess"].map(
            (wanted) => calls.filter((name) => name === wanted).length,
          ),
          [3, 3, 2, 1],
        );
      } finally {
        rmSync(place, { recursive: true, force: true });
      }
    },
  );
}

test("in the sandbox the acts of named processes are printed, and of no others", OPTIONS, async () => {
  const { stdout, stderr } = await withNt(
    { script: SCRIPT, rebox: COPIED, trust: false, permissions: "fs:results" },
    async (run) => {
      await run.untilHold(1);
      assert.equal(await run.text("custom windows_acts process=actor.exe"), "telling acts");
      assert.match(await run.error("custom windows_acts nonsense"), /nonsense is no process=NAME/);
      await run.text("custom windows_acts process=actor.exe");
      await run.release();
      await run.untilHold(2);
      while (!run.truth().some(({ name, code }) => name === "NtDeviceIoControlFile" && code === 0x12007n));
      await run.release();
      await run.untilHold(3);
    },
  );
  const lines = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("actor.exe "));
  assert.ok(lines.length >= EXPECTED.length, `${stdout}${stderr}`);
  assert.ok(
    lines.some((line) => line.includes('process.injected way="NtWriteVirtualMemory" target=12 targetName="smss.exe"')),
  );
});
