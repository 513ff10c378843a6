import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent } from "../../src/shell/line/run-feed";
import type { EngineGuest } from "../../src/lab/analysis/engine-guest";
import { withGuest } from "../kit/lab/guest-machine";
import { untilTrue } from "../kit/lab/lab-run";

function countCallbacks(guest: EngineGuest): Promise<unknown> {
  return guest.command('!listCallbacks().filter(({ type }) => type === "CREATEPROC_CB").length');
}

test("a guest's handle executes commands of the shell and of QMP, and what they refuse it throws", async () => {
  await withGuest({}, async ({ guest, execute }) => {
    await execute("true");
    const processes = (await guest.command("ps")) as { pid: number; name: string }[];
    assert.deepEqual(processes.find(({ pid }) => pid === 1)?.name, "init");
    assert.equal(((await guest.qmp("query-status")) as { status: string }).status, "running");
    assert.deepEqual(await guest.qmp("query-rx-filter", {}), []);
    await assert.rejects(guest.command("pss"), /there is no command pss; do you mean ps\?/);
    await assert.rejects(guest.qmp("no-such-command"), /The command no-such-command has not been found/);
    await assert.rejects(guest.command("ps", AbortSignal.abort(new Error("over"))), /^Error: over$/);
    const slow = new AbortController();
    const waiting = guest.command("!new Promise(() => {})", slow.signal);
    setTimeout(() => slow.abort(new Error("long enough")), 50);
    await assert.rejects(waiting, /^Error: long enough$/);
  });
});

test("a file observes the guest in its engine, tells what it sees, and goes with its observation", async () => {
  await withGuest({}, async ({ guest, lab, execute }) => {
    await execute("true");
    const file = lab.write(
      "observer.ts",
      `import { CallbackManager } from "rebox"; import { type GuestObserver } from "rebox/lab";
       export function observe({ callbacks, options, tell }: GuestObserver) {
         let count = 0;
         callbacks.addCallback(CallbackManager.CREATEPROC_CB, (pid, pgd, name) => {
           count++;
           tell({ pid, pgd, name, who: options.who });
         });
         return () => ({ count });
       }`,
    );
    const told: { pid: number; pgd: string; name: string; who: string }[] = [];
    const observation = await guest.observe(file, { who: "me" }, (event) => told.push(event as (typeof told)[0]));
    assert.equal(await countCallbacks(guest), 1);
    const output = await execute("/bin/sleep 0 & wait; echo made $!");
    const pid = Number(/made (\d+)/.exec(output)![1]);
    assert.deepEqual(await observation.end(), { count: told.length });
    assert.equal(observation.lost, 0);
    assert.ok(
      told.some((event) => event.pid === pid && event.name === "sleep" && event.who === "me"),
      JSON.stringify(told),
    );
    assert.ok(told.every(({ pgd }) => /^0x[0-9a-f]+$/.test(pgd)));
    assert.equal(await countCallbacks(guest), 0);
  });
});

test("what is wrong with an observing file is reported with its place, and a listener's failure is its observation's", async () => {
  await withGuest({}, async ({ guest, lab, execute }) => {
    await execute("true");
    const observe = (name: string, text: string) =>
      guest.observe(lab.write(name, text), {}, () => {
        throw new Error("the listener's own");
      });
    await assert.rejects(observe("syntax.ts", "export const observe = (;"), /syntax\.ts:1:\d+/);
    await assert.rejects(observe("none.ts", "export const other = 1;"), /exports no function observe\(observer\)/);
    await assert.rejects(
      observe("throws.ts", 'export const observe = () => { throw new Error("no luck"); };'),
      /no luck/,
    );
    await assert.rejects(
      guest.observe("/nonexistent.ts", {}, () => {}),
      /nonexistent\.ts/,
    );
    const telling = await observe("tells.ts", "export const observe = ({ tell }) => void tell(1);");
    await assert.rejects(telling.end(), /the listener's own/);
  });
});

test("an observation whose listener goes away leaves nothing in the engine, nor does one whose machine ends", async () => {
  await withGuest({}, async ({ guest, lab, manager, execute }) => {
    await execute("true");
    const file = lab.write(
      "observer.ts",
      `import { CallbackManager } from "rebox";
       export const observe = ({ callbacks }) => void callbacks.addCallback(CallbackManager.CREATEPROC_CB, () => {});`,
    );
    const controller = new AbortController();
    const observation = await guest.observe(file, {}, () => {}, controller.signal);
    assert.equal(await countCallbacks(guest), 1);
    controller.abort();
    await observation.ended;
    await untilTrue(async () => (await countCallbacks(guest)) === 0);
    const second = await guest.observe(file, {}, () => {});
    await manager.request("stop", "g");
    await second.ended;
    await assert.rejects(second.end(), /the engine has ended the connection/);
    await assert.rejects(guest.command("ps"), /start the machine first/);
  });
});

test("the machine's states are watched", async () => {
  await withGuest({}, async ({ guest, execute }) => {
    await execute("true");
    const states: string[] = [];
    const unwatch = await guest.watch((event: RunEvent) => {
      if (event.event === "state") states.push(event.state);
    });
    await untilTrue(() => states.length > 0);
    await guest.command("pause");
    await guest.command("cont");
    await untilTrue(() => states.length >= 3);
    unwatch();
    assert.deepEqual(states.slice(0, 3), ["running", "paused", "running"]);
  });
});
