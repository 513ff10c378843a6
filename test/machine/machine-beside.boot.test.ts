import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { inFolder } from "../kit/in-folder";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { runWithSnapshots } from "../kit/guests/snapshot-run";

/** Types commands into QEMU's monitor, one after the other, until the socket closes; returns how many were answered. */
async function type(socket: string, command: string): Promise<number> {
  while (!existsSync(socket)) await new Promise((done) => setTimeout(done, 20));
  return new Promise((settle) => {
    let text = "";
    const monitor = connect(socket);
    const answers = () => text.split("(qemu) ").length - 1;
    monitor.setEncoding("latin1").on("data", (received: string) => {
      text += received;
      if (received.includes("(qemu) ")) monitor.write(`${command}\n`);
    });
    monitor.on("error", () => settle(answers()));
    monitor.on("close", () => settle(answers()));
  });
}

test("while callbacks read memory, commands typed into the monitor are answered, and neither waits for ever", () =>
  inFolder(async (folder) => {
    const socket = join(folder, "monitor");
    const running = runGuest({
      task: "busy",
      qemuArgs: ["-chardev", `socket,id=m,path=${socket},server=on,wait=off`, "-mon", "chardev=m,mode=readline"],
      script: (serial) => `
        import { ALL_PROCESSES, CallbackManager, Engine, getRunningProcess, readVa, startMonitoringProcess } from "rebox";
        ${scriptPrelude(serial)}
        let cm: CallbackManager;
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          cm = new CallbackManager(handle);
          void untilTruth("busy").then(() => {
            let reads = 0;
            startMonitoringProcess(ALL_PROCESSES);
            cm.addCallback("BLOCK_BEGIN_CB", (cpuIndex, cpu, tb) => {
              if (readVa(getRunningProcess(cpuIndex), tb.pc, tb.size).length === tb.size) reads++;
              if (reads === 1000000) {
                cm.clean();
                print("reads " + reads);
                void Engine.get().quit();
              }
            });
          });
        }
        export const clean = (): void => cm.clean();
      `,
    });
    const [run, answers] = await Promise.all([running, type(socket, "info registers")]);
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    assert.deepEqual(run.messages, ["reads 1000000"]);
    assert.ok(answers > 20, `${answers} answers`);
  }));

test("snapshots are saved and loaded while callbacks are called, and from within one", () =>
  inFolder(async (folder) => {
    const run = await runWithSnapshots(
      folder,
      `
        let blocks = 0, last: bigint | undefined, broken = 0;
        startMonitoringProcess(ALL_PROCESSES);
        cm.addCallback("BLOCK_BEGIN_CB", () => void blocks++);
        cm.addCallback("CONTEXTCHANGE_CB", (oldPgd, newPgd) => {
          if (last !== undefined && last !== oldPgd) broken++;
          last = newPgd;
        });
        await saveVm("beside");
        change();
        await loadVm("beside");
        print("beside " + value());
        // A callback that waits for its own snapshot: the guest stands still at its event.
        await new Promise<void>((done) => {
          const name = cm.addCallback("BLOCK_BEGIN_CB", async (cpuIndex, cpu, tb) => {
            cm.rmCallback(name);
            await saveVm("within");
            print("at the same place " + (cpu.RIP === tb.pc));
            done();
          });
        });
        change();
        await new Promise<void>((done) => {
          const name = cm.addCallback("CONTEXTCHANGE_CB", () => {
            cm.rmCallback(name);
            void loadVm("within").then(done);
          });
        });
        print("within " + value());
        const then = blocks;
        while (blocks === then) await sleep(10);
        print("broken " + broken);
      `,
    );
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    const value = run.truth.get("pattern.value");
    assert.deepEqual(run.messages, [`beside ${value}`, "at the same place true", `within ${value}`, "broken 0"]);
  }));
