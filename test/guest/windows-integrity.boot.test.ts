import assert from "node:assert/strict";
import { test } from "node:test";
import { withNt } from "../kit/nt/nt-run";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const OPTIONS = { skip: WITHOUT_WINDOWS_TOOLS };
/** A service can lead into a driver that lies within 128 MiB. */
const BASE = 0xfffff8000e000000n;
const SCRIPT = [
  ...["start smss.exe", "start csrss.exe smss.exe", "driver disk.sys", "callbacks", "hives", "hold"],
  ...["hide csrss.exe", "hook 85", "hold"],
];

type Row = Readonly<Record<string, unknown>>;
interface Rows {
  readonly rows: readonly Row[];
}

for (const layout of ["windows-7-7601", "windows-10-19041"]) {
  test(
    `callbacks, the table of system calls and hidden processes of ${layout} are shown as the kernel has them`,
    OPTIONS,
    async () => {
      await withNt({ script: SCRIPT, base: BASE, layout }, async (run) => {
        const { data, truth, untilHold, release } = run;
        await untilHold(1);
        const of = (event: string) => truth().filter((one) => one.event === event);
        const rows = async (line: string) => {
          const found = await data<Rows | readonly Row[]>(line);
          return "rows" in found ? found.rows : found;
        };
        const callbacks = await rows("callbacks");
        assert.deepEqual(
          callbacks.map(({ address, detail }) => [BigInt(address as string), detail]),
          of("callback").map(({ address, detail }) => [address, detail]),
        );
        assert.equal(callbacks.length, 9);
        assert.deepEqual(
          callbacks.map(({ occasion, module }) => `${String(occasion)}: ${String(module)}`),
          [
            ...["process begins or ends: kernel", "process begins or ends: disk.sys", "thread begins or ends: "],
            ...["image is mapped: disk.sys", "registry is used: disk.sys"],
            ...["system stops with an error: disk.sys", "system stops with an error: disk.sys"],
            ...["system shuts down: disk.sys", "file system is registered: disk.sys"],
          ],
        );
        assert.equal(callbacks[0]!["symbol"], "PsOwnCallback");
        assert.match(await run.text("callbacks"), /1 lead into no module/);

        const before = await rows("ssdt");
        assert.equal(before.length, 0x1ce);
        assert.ok(before.every(({ module }) => module === "kernel"));
        assert.equal(before[0x55]!["name"], "NtCreateFile");
        const views = await rows("psview");
        assert.match(await run.text("psview"), /System/);
        assert.deepEqual(
          views.map(({ pid, name, ended }) => [BigInt(pid as number), name, ended]),
          of("process").map(({ pid, name }) => [pid, name, ""]),
        );
        assert.ok(views.every((row) => String(row["views"]).startsWith("list, numbers")));
        // The one processor runs one of them.
        assert.equal(views.filter((row) => String(row["views"]).includes("running threads")).length, 1);
        const healthy = await data<{ isHealthy: boolean; steps: readonly { name: string; evidence: string }[] }>(
          "doctor",
        );
        const agreement = healthy.steps.find(({ name }) => name === "agreement")!;
        assert.ok(healthy.isHealthy, JSON.stringify(healthy));
        assert.equal(
          agreement.evidence,
          `${views.length} processes by list and by number, 462 system calls, 2 modules`,
        );
        assert.match(await run.text("registry HKLM\\SYSTEM\\Select"), /Current +REG_DWORD +4 +0x1/);
        assert.equal((await rows("registry")).length, 3);

        await release();
        await untilHold(2);
        const [hidden] = of("hidden");
        const now = await rows("psview");
        assert.deepEqual(
          now
            .filter(({ views: seen }) => !String(seen).includes("list"))
            .map(({ pid, name }) => [BigInt(pid as number), name]),
          [[hidden!.pid, "csrss.exe"]],
        );
        assert.ok(!(await rows("ps")).some(({ name }) => name === "csrss.exe"));
        const hooked = (await rows("ssdt"))[0x55]!;
        assert.deepEqual(
          [hooked["name"], hooked["module"], BigInt(hooked["address"] as string)],
          ["", "disk.sys", of("hooked")[0]!.address],
        );
        assert.match(await run.text("ssdt"), /1 lead out of the kernel/);
        const sick = await data<{ isHealthy: boolean; steps: readonly { name: string; evidence: string }[] }>("doctor");
        assert.equal(sick.isHealthy, false);
        const words = sick.steps.find(({ name }) => name === "agreement")!.evidence;
        assert.match(words, /csrss\.exe \(\d+\) is in no list/);
        assert.match(words, /system call 0x55 leads elsewhere/);
      });
    },
  );
}
