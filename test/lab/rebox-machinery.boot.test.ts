import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { QmpClient } from "../../src/lab/machinery/drivers/qemu/qmp-client";
import type { ReboxMachinery } from "../../src/lab/machinery/drivers/rebox/rebox-machinery";
import { findProcess } from "../../src/lab/machinery/processes/process-identity";
import { defaultKit } from "../kit/guests/guest-kits";
import { findUnmapped, makeCounterDisk, NEEDS_QEMU, type TestLab, untilTrue, withTestLab } from "../kit/lab/lab-run";

const SIGNAL = new AbortController().signal;

/** A lab with the guest kit as a machine of rebox. */
async function withKit(task: string, more: string, use: (lab: TestLab) => Promise<void>): Promise<void> {
  const { kernel, initramfs } = defaultKit();
  const append = `console=ttyS0 quiet no_timer_check panic=-1 rebox.run=${task}`;
  const settings = [
    ...["platform: linux", `kernel: ${kernel}`, `initrd: ${initramfs}`, `append: "${append}"`, "memory: 256M"],
    ...more.split("\n"),
  ];
  await withTestLab(
    { "conf/machineries/rebox.yaml": `machines:\n  g:\n${settings.map((line) => `    ${line}`).join("\n")}\n` },
    use,
  );
}

test("a machine of rebox starts, has a shell that sees its processes, and is stopped, each from another process's lab", async () => {
  await withKit("idle", "", async (lab) => {
    const first = await lab.open();
    const started = await first.manager.request("restoreStart", "g");
    assert.deepEqual([started.success, started.state], [true, "running"], started.reason);
    await lab.until("state/g/console.log", /rebox-guest: ready/);
    const second = await lab.open();
    const machinery = second.machineries.get("rebox") as ReboxMachinery;
    assert.equal(machinery.capabilities.introspection, true);
    const shell = await machinery.openShell(second.manager.machines.get("g"));
    const answer = await shell.run("ps");
    shell.close();
    assert.match(answer.error ?? answer.text, /^\s+1\s+0\s.*\binit\b/m);
    assert.equal((await second.manager.request("stop", "g")).state, "poweroff");
    for (const name of ["process.json", "qmp.sock", "control.sock"])
      assert.ok(!existsSync(lab.path(`state/g/${name}`)));
    await assert.rejects(machinery.openShell(second.manager.machines.get("g")), /g has no shell: .*start the machine/);
  });
});

test("a machine starts with its persistent investigations, and masks every answer when its settings say so", async () => {
  await withKit("idle", "investigations: [procwatch]\nprivate_investigations: yes", async (lab) => {
    const { manager, machineries } = await lab.open();
    const started = await manager.request("restoreStart", "g");
    assert.equal(started.success, true, started.reason);
    await lab.until("state/g/console.log", /rebox-guest: ready/);
    const shell = await (machineries.get("rebox") as ReboxMachinery).openShell(manager.machines.get("g"));
    const list = await shell.run("investigate");
    assert.match(list.error ?? list.text, /^procwatch +persistent +running/m);
    const answer = await shell.run("investigate process");
    shell.close();
    assert.ok(answer.error === undefined, answer.error);
    const { elements } = answer.data as { readonly elements: { readonly commandline: readonly string[] }[] };
    assert.ok(elements.length > 0, answer.text);
    assert.ok(elements.every(({ commandline }) => commandline.slice(1).every((word) => word === "masked")));
    assert.equal((await manager.request("stop", "g")).success, true);
  });
});

test("a pause made by a script in the engine is neither undone nor taken for a failure", async () => {
  await withKit("idle", "scripts: [holder.ts]", async (lab) => {
    lab.write(
      "holder.ts",
      `import { CallbackManager, Engine } from "rebox";
       let callbacks: CallbackManager;
       export function initialize_callbacks(handle: number): void {
         callbacks = new CallbackManager(handle);
         callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => {
           callbacks.clean();
           void Engine.get().pause();
         });
       }
       export const clean = (): void => callbacks.clean();`,
    );
    const { manager } = await lab.open();
    assert.equal((await manager.request("restoreStart", "g")).success, true);
    await untilTrue(async () => (await manager.readState("g")).state === "paused");
    assert.equal((await manager.readState("g")).pausedBy, "a script or shell in its engine");
    const refused = await manager.request("resume", "g");
    assert.match(refused.reason!, /held paused by a script or shell in its engine/);
    assert.equal((await manager.readState("g")).state, "paused");
  });
});

test("an engine that was killed leaves a machine that is off and can be started again", async () => {
  await withKit("idle", "", async (lab) => {
    const { manager } = await lab.open();
    await manager.request("restoreStart", "g");
    const { pid } = JSON.parse(lab.read("state/g/process.json")) as { pid: number };
    process.kill(pid, "SIGKILL");
    await untilTrue(() => findProcess(pid) === undefined);
    assert.equal((await manager.readState("g")).state, "poweroff");
    const again = await manager.request("restoreStart", "g");
    assert.equal(again.success, true, again.reason);
  });
});

test("a script that does not load is reported with its place, and no process is left", async () => {
  await withKit("idle", "scripts: [broken.ts]", async (lab) => {
    lab.write("broken.ts", "export const clean = (;\n");
    const { manager } = await lab.open();
    const { success, reason } = await manager.request("restoreStart", "g");
    assert.equal(success, false);
    assert.match(reason!, /broken\.ts:1:\d+/);
    assert.ok(!existsSync(lab.path("state/g/process.json")));
  });
});

test("every run state of rebox's own QEMU has its counterpart", async () => {
  await withKit("idle", "", async (lab) => {
    const { manager } = await lab.open();
    await manager.request("restoreStart", "g");
    const client = await QmpClient.connect(lab.path("state/g/qmp.sock"), 30_000, SIGNAL);
    const schema = await client.execute("query-qmp-schema", {}, 30_000, SIGNAL);
    client.close();
    assert.deepEqual(findUnmapped(schema), []);
  });
});

test("a guest that shuts down by itself leaves a machine that is off", async () => {
  await withKit("poweroff", "", async (lab) => {
    const { manager } = await lab.open();
    await manager.request("restoreStart", "g");
    await untilTrue(async () => (await manager.readState("g")).state === "poweroff");
  });
});

test("an engine of rebox continues from a memory snapshot where it was made", { skip: NEEDS_QEMU }, async () => {
  const settings = "platform: linux\n    memory: 32M\n    qcow2_path: disk.qcow2\n    snapshot_path: memory.snapshot\n";
  await withTestLab({ "conf/machineries/rebox.yaml": `machines:\n  g:\n    ${settings}` }, async (lab) => {
    await makeCounterDisk(lab.path("disk.qcow2"));
    writeFileSync(lab.path("memory.snapshot"), Buffer.from("5145564d", "hex"));
    const { manager } = await lab.open();
    const begun = await manager.request("norestoreStart", "g");
    assert.equal(begun.success, true, begun.reason);
    await lab.until("state/g/console.log", /start 1\nabc/);
    const client = await QmpClient.connect(lab.path("state/g/qmp.sock"), 30_000, SIGNAL);
    const ask = (command: string, args = {}) => client.execute(command, args, 30_000, SIGNAL);
    await ask("migrate", { uri: `exec:cat > ${lab.path("memory.snapshot")}` });
    await untilTrue(async () => ((await ask("query-migrate")) as { status: string }).status === "completed");
    client.close();
    const last = lab.read("state/g/console.log").at(-1)!;
    await manager.request("stop", "g");
    const restored = await manager.request("restoreStart", "g");
    assert.deepEqual([restored.success, restored.state], [true, "running"], restored.reason);
    const [first] = await lab.until("state/g/console.log", /^[^]/);
    assert.equal(first, last === "z" ? "a" : String.fromCharCode(last.charCodeAt(0) + 1));
  });
});
