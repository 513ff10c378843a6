import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RfbFilter } from "../../src/server/live/rfb-filter";
import { NEEDS_BROWSER } from "../kit/lab/browser";
import { findFaults, signInByPage, withWalk } from "../kit/server/browser-walk";
import { keyDown, LiveClient } from "../kit/server/live-client";
import { jsonOf, type TestServer, withServer } from "../kit/server/test-server";

const KEY = keyDown(0x61);
const HANDSHAKE = Buffer.concat([Buffer.from("RFB 003.008\n"), Buffer.of(1, 0)]);
const SHARED = Buffer.concat([Buffer.from("RFB 003.008\n"), Buffer.of(1, 1)]);
const ENCODINGS = Buffer.from("020000020000000500000007", "hex");
const REQUEST = Buffer.from("03000000000000020002", "hex");
const POINTER = Buffer.from("050100010001", "hex");
const QEMU_KEY = Buffer.from("ff0000010000006100000026".slice(0, 24), "hex");
/** Clipboard, in the old form and the extended one; the machine's power; another size; sound. */
const NEVER = ["0600000000000003616263", "06000000fffffffc00000001", "fa000102", "fb000400030001000000000100000000040003000000000000".slice(0, 48), "ff010000", "ff01000203020000ac44"].map((hex) => Buffer.from(hex, "hex")); // prettier-ignore

function filter(mayType: boolean, bytes: Buffer, step: number): Buffer {
  const one = new RfbFilter(mayType);
  const passed: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += step) passed.push(one.push(bytes.subarray(at, at + step)));
  return Buffer.concat(passed);
}

/** Waits until an analysis of a command runs. */
async function start(server: TestServer, command: string): Promise<number> {
  const { ids } = await server.read<{ ids: [number] }>("analyst", "/api/v1/analyses", jsonOf({ command, machine: "office" })); // prettier-ignore
  for (;;) {
    const { phase } = await server.read<{ phase: string }>("reader", `/api/v1/analyses/${ids[0]}`);
    if (phase === "running") return ids[0];
    await sleep(50);
  }
}

async function open(server: TestServer, who: Parameters<typeof LiveClient.open>[1], path: string): Promise<LiveClient> {
  const client = await LiveClient.open(server, who, path);
  if (typeof client === "number") throw new Error(`${path}: ${client}`);
  return client;
}

describe("the filter of viewers", () => {
  test("lets pictures be asked for, and keys pass only for who may type, however the bytes arrive", () => {
    const asked = [ENCODINGS, REQUEST];
    const typed = [KEY, POINTER, QEMU_KEY];
    const all = Buffer.concat([HANDSHAKE, ...asked, ...typed, ...NEVER, ...asked]);
    for (const step of [1, 2, 7, all.length]) {
      assert.deepEqual(filter(false, all, step), Buffer.concat([SHARED, ...asked, ...asked]), `by ${step}`);
      assert.deepEqual(filter(true, all, step), Buffer.concat([SHARED, ...asked, ...typed, ...asked]), `by ${step}`);
    }
  });

  test("repeats a request for changes once, so that the next one is there when QEMU looks for it", () => {
    const one = new RfbFilter(false);
    one.push(Buffer.concat([HANDSHAKE, ENCODINGS]));
    assert.equal(one.repeatRequest(), undefined);
    // All of the screen is asked for once.
    one.push(REQUEST);
    assert.equal(one.repeatRequest(), undefined);
    const changes = Buffer.from("03010000000000020002", "hex");
    assert.deepEqual(one.push(changes.subarray(0, 4)), Buffer.alloc(0));
    assert.equal(one.repeatRequest(), undefined);
    assert.deepEqual(one.push(changes.subarray(4)), changes);
    assert.deepEqual([one.repeatRequest(), one.repeatRequest()], [changes, undefined]);
    one.push(Buffer.concat([changes, changes, REQUEST]));
    assert.equal(one.repeatRequest(), undefined);
  });

  test("refuses what is not the protocol, and what never ends", () => {
    for (const hex of ["07000000", "ff020000"])
      assert.throws(() => filter(true, Buffer.concat([HANDSHAKE, Buffer.from(hex, "hex")]), 1), /not known here/);
    assert.throws(() => filter(true, Buffer.from("GET / HTTP/1"), 1), /no RFB 3\.7 or 3\.8/);
    assert.throws(() => filter(true, Buffer.concat([HANDSHAKE.subarray(0, 12), Buffer.of(2)]), 1), /password/);
    const one = new RfbFilter(false);
    one.push(HANDSHAKE);
    // A length of two gigabytes is left out as it comes, and never kept.
    one.push(Buffer.from("060000007fffffff", "hex"));
    for (let count = 0; count < 100; count++) assert.equal(one.push(Buffer.alloc(64 << 10)).length, 0);
  });
});

describe("a machine that runs", () => {
  test("is seen by who may read, and gets keys only from who may submit, which the audit log has", async () => {
    await withServer({}, async (server) => {
      const id = await start(server, "sleep 100");
      const place = `/api/v1/analyses/${id}/screen`;
      const reader = await open(server, "reader", place);
      assert.equal(await reader.shakeHands(), "quick");
      assert.equal(await reader.askForPicture(2, 2), 1);
      reader.send(KEY);
      // Behind the answer to what came after the key, it would have been there.
      await reader.take(28);
      assert.equal(await reader.askForPicture(2, 2), 1);
      const typed = join(server.lab.folder, "state/office/typed");
      assert.ok(!existsSync(typed));
      const analyst = await open(server, "analyst", `${place}?control=yes`);
      await analyst.shakeHands();
      analyst.send(KEY);
      await analyst.askForPicture(2, 2);
      assert.equal(readFileSync(typed, "latin1"), `${KEY.toString("hex")}\n`);
      const { entries } = await server.read<{ entries: { user: string; action: string; detail: string }[] }>("administrator", "/api/v1/audit"); // prettier-ignore
      const taken = entries.filter(({ action }) => action === "take over screen");
      assert.deepEqual(taken.map(({ user, detail }) => [user, detail]), [["analyst", `analysis ${id} on office`]]); // prettier-ignore
      await server.ask("analyst", `/api/v1/analyses/${id}/cancel`, { method: "POST" });
      assert.deepEqual(await reader.untilEnded(), { code: 1000, reason: "the machine has gone off" });
      assert.equal((await analyst.untilEnded()).code, 1000);
      await server.untilEnded(id);
      const late = await open(server, "reader", place);
      assert.deepEqual(await late.untilEnded(), { code: 1008, reason: `analysis ${id} has ended` });
    });
  });

  test("shows its serial console beside the analysis that types there, and lets nobody type between", async () => {
    await withServer({}, async (server) => {
      const id = await start(server, "echo seen-by-all; sleep 100");
      const reader = await open(server, "reader", `/api/v1/analyses/${id}/console`);
      await reader.until("seen-by-all");
      reader.send("echo typed-by-reader\r");
      const analyst = await open(server, "analyst", `/api/v1/analyses/${id}/console?control=yes`);
      const { code, reason } = await analyst.untilEnded();
      assert.equal(code, 1008);
      assert.match(reason, /somebody types on the serial console of office/);
      await sleep(300);
      assert.ok(!readFileSync(join(server.lab.folder, "state/office/console.log"), "latin1").includes("typed-by-reader")); // prettier-ignore
      await server.ask("analyst", `/api/v1/analyses/${id}/cancel`, { method: "POST" });
      assert.equal((await reader.untilEnded()).code, 1000);
    });
  });

  test("is not shown to nobody, to pages of other sites, or for typing to readers; and what is missing is told", async () => {
    await withServer({}, async (server) => {
      const { cookie } = await server.signIn("analyst");
      const place = "/api/v1/machines/office/screen";
      const origin = server.url;
      const status = async (headers: Record<string, string>, path = place) => {
        const opened = await LiveClient.open(server, headers, path);
        return typeof opened === "number" ? opened : opened.untilEnded();
      };
      assert.equal(await status({}), 401);
      assert.equal(await status({ cookie }), 403);
      assert.equal(await status({ cookie, origin: "http://evil.example" }), 403);
      assert.equal(await status({ cookie, origin: "null" }), 403);
      assert.equal(await status({ authorization: `Bearer ${server.tokens.reader}` }, `${place}?control=yes`), 403);
      assert.equal(await status({ cookie, origin }, "/api/v1/analyses/999/nothing"), 404);
      // The machine is off.
      assert.equal((await status({ cookie, origin }) as { code: number }).code, 1011); // prettier-ignore
      const nowhere = await open(server, "reader", "/api/v1/machines/nowhere/screen");
      assert.deepEqual(await nowhere.untilEnded(), { code: 1008, reason: "there is no machine nowhere" });
      const missing = await open(server, "reader", "/api/v1/analyses/999/screen");
      assert.deepEqual(await missing.untilEnded(), { code: 1008, reason: "there is no analysis 999" });
    });
  });
});

test(
  "the page of an analysis that runs shows screen and console, and gives the keyboard to the machine and back",
  { skip: NEEDS_BROWSER },
  async () => {
    await withServer({}, async (server) => {
      const id = await start(server, "echo seen-by-all; sleep 100");
      await withWalk(server.url, {}, async ({ page, complaints }) => {
        await signInByPage(page, "analyst");
        await page.goto(`/analyses/${id}`);
        const screen = page.locator("[data-live=screen]");
        await screen.getByText("Live.").waitFor();
        await screen.locator("canvas").waitFor();
        await page.getByText("Serial console", { exact: true }).click();
        await page.locator(".xterm-rows", { hasText: "seen-by-all" }).waitFor();
        // Its styles hold: a row is as high as its letters, and not as high as the page.
        const height = await page.locator(".xterm-rows > div").first().evaluate((row) => (row as unknown as { clientHeight: number }).clientHeight); // prettier-ignore
        assert.ok(height > 8 && height < 40, String(height));
        assert.deepEqual(await findFaults(page), []);
        await screen.getByRole("button", { name: "Take over" }).click();
        await screen.getByText("Your keys go to the machine").waitFor();
        const typed = join(server.lab.folder, "state/office/typed");
        // A key is lost that comes before the first picture.
        while (!existsSync(typed)) {
          await page.keyboard.press("a");
          await sleep(100);
        }
        await page.keyboard.press("Control+Alt+g");
        await page.locator("[data-take]:focus").waitFor();
        assert.deepEqual(complaints, []);
      });
      await server.ask("analyst", `/api/v1/analyses/${id}/cancel`, { method: "POST" });
      await server.untilEnded(id);
    });
  },
);
