import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AnalysisEnds } from "../../src/lab/analysis/queue/analysis-ends";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { openAccountDatabase } from "../../src/server/accounts/account-database";
import { AddressCheck } from "../../src/server/webhooks/address-check";
import { sendWebhook, signWebhook } from "../../src/server/webhooks/send-webhook";
import { WebhookStore } from "../../src/server/webhooks/webhook-store";
import { inFolder } from "../kit/in-folder";
import { jsonOf, type TestServer, withServer } from "../kit/server/test-server";
import { WebhookReceiver } from "../kit/server/webhook-receiver";

const LOOPBACK = { settings: { webhookNetworks: ["127.0.0.0/8"] } };

interface Added {
  readonly id: number;
  readonly secret: string;
}

interface Deliveries {
  readonly deliveries: readonly {
    readonly id: string;
    readonly state: string;
    readonly attempts: number;
    readonly answer: string;
  }[];
}

function addHook({ read }: TestServer, url: string): Promise<Added> {
  return read<Added>("administrator", "/api/v1/webhooks", jsonOf({ url }));
}

async function runCommand({ read, untilEnded }: TestServer, command: string): Promise<number> {
  const { ids } = await read<{ ids: [number] }>("analyst", "/api/v1/analyses", jsonOf({ command }));
  await untilEnded(ids[0]);
  return ids[0];
}

/** Waits until the newest message of a webhook fits. */
async function untilDelivery(
  { read }: TestServer,
  id: number,
  fits: (each: Deliveries["deliveries"][number]) => boolean,
) {
  for (;;) {
    const { deliveries } = await read<Deliveries>("administrator", `/api/v1/webhooks/${id}/deliveries`);
    if (deliveries[0] !== undefined && fits(deliveries[0])) return deliveries;
    await sleep(50);
  }
}

describe("a webhook", () => {
  test("gets a message when an analysis has ended, whose signature its secret proves", async () => {
    await WebhookReceiver.with(async (receiver) => {
      await withServer(LOOPBACK, async (server) => {
        const { id: hook, secret } = await addHook(server, receiver.url);
        const id = await runCommand(server, "exit 3");
        await receiver.until(1);
        const [{ headers, body }] = receiver.messages as [(typeof receiver.messages)[number]];
        const { type, data } = JSON.parse(body) as {
          type: string;
          data: { id: number; state: string; reason: string };
        };
        assert.deepEqual([type, data.id, data.state, data.reason], ["analysis.ended", id, "finished", "the command ended with status 3"]); // prettier-ignore
        // Computed as the specification says it, and not by our own function.
        const [name, time] = [String(headers["webhook-id"]), String(headers["webhook-timestamp"])];
        const key = Buffer.from(secret.replace("whsec_", ""), "base64");
        const wanted = createHmac("sha256", key).update(`${name}.${time}.${body}`).digest("base64");
        assert.equal(headers["webhook-signature"], `v1,${wanted}`);
        assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 60);
        const deliveries = await untilDelivery(server, hook, ({ state }) => state === "delivered");
        assert.deepEqual(deliveries.map(({ id: each, attempts, answer }) => [each, attempts, answer]), [[name, 1, "204"]]); // prettier-ignore
      });
    });
  });

  test("that answers an error gets the message again; to another address it leads nowhere; and one that is gone is asked no more", async () => {
    await WebhookReceiver.with(async (receiver) => {
      await withServer(LOOPBACK, async (server) => {
        receiver.statuses.push(302, 410);
        const { id: hook } = await addHook(server, receiver.url);
        await runCommand(server, "true");
        const [first] = await untilDelivery(server, hook, ({ answer }) => answer === "302");
        assert.equal(first!.state, "waiting");
        assert.equal(receiver.messages.length, 1);
        await server.ask("administrator", `/api/v1/webhooks/${hook}/deliveries/${first!.id}/repeat`, {
          method: "POST",
        });
        await untilDelivery(server, hook, ({ answer }) => answer === "410");
        const { webhooks } = await server.read<{ webhooks: { isOver: boolean }[] }>(
          "administrator",
          "/api/v1/webhooks",
        );
        assert.equal(webhooks[0]!.isOver, true);
        await runCommand(server, "true");
        await sleep(1_500);
        assert.equal(receiver.messages.length, 2);
        assert.equal(receiver.messages[0]!.headers["webhook-id"], receiver.messages[1]!.headers["webhook-id"]);
      });
    });
  });

  test("hears of what another process of the lab has ended", async () => {
    await WebhookReceiver.with(async (receiver) => {
      await withServer(LOOPBACK, async (server) => {
        await addHook(server, receiver.url);
        // Another process of the lab ends one.
        const id = server.add();
        await receiver.until(1);
        assert.equal((JSON.parse(receiver.messages[0]!.body) as { data: { id: number } }).data.id, id);
      });
    });
  });

  test("and what it was not told yet outlive the server, also when an analysis ends while there is none", async () => {
    await inFolder(async (folder) => {
      const served = openDatabase(folder);
      new AnalysisEnds(served);
      served.close();
      const database = openDatabase(folder);
      const id = database.add({
        machine: undefined,
        target: undefined,
        command: "true",
        options: {},
        timeoutS: 1,
        scripts: [],
      });
      database.end(id, "finished", undefined);
      database.end(id, "failed", undefined);
      const ends = new AnalysisEnds(database);
      const [end, ...others] = ends.list();
      assert.deepEqual([end!.analysis, others], [id, []]);
      ends.forget(end!.sequence);
      assert.deepEqual(ends.list(), []);
      database.close();
      for (const count of [1, 2]) {
        const accounts = openAccountDatabase(folder);
        const store = new WebhookStore(accounts);
        if (count === 1) store.add("https://example.org/", "anna");
        store.addDeliveries(7, "{}");
        assert.equal(store.listDue(10).length, 1);
        accounts.close();
      }
    });
  });

  test("is given up after some hours, and not before", async () => {
    await inFolder(async (folder) => {
      const database = openAccountDatabase(folder);
      const store = new WebhookStore(database);
      const { id } = store.add("https://example.org/", "anna");
      store.addDeliveries(1, "{}");
      const pauses: number[] = [];
      for (;;) {
        const [{ id: message, state, nextMs }] = store.listDeliveries(id, 1) as [
          ReturnType<WebhookStore["listDeliveries"]>[number],
        ];
        if (state !== "waiting") break;
        pauses.push(Math.round((nextMs! - Date.now()) / 1000));
        store.note(message, 500);
      }
      assert.equal(pauses.length, 8);
      assert.ok(pauses.every((pause, at) => at === 0 || pause > pauses[at - 1]!));
      assert.equal(store.listDeliveries(id, 1)[0]!.state, "given up");
      database.close();
    });
  });
});

describe("an address that webhooks may not reach", () => {
  test("is refused in every form that it is written in, unless the server was started for it", async () => {
    await withServer({}, async (server) => {
      for (const host of [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "10.1.2.3",
        "169.254.169.254",
        "192.168.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "0.0.0.0",
        "[::]",
        "[64:ff9b::7f00:1]",
      ]) {
        // prettier-ignore
        const answer = await server.ask("administrator", "/api/v1/webhooks", jsonOf({ url: `http://${host}/` }));
        assert.equal(answer.status, 400, host);
        assert.match(await answer.text(), /private address/);
      }
      for (const url of ["file:///etc/passwd", "gopher://x/", "nonsense", "http://user:pass@example.org/"])
        assert.equal((await server.ask("administrator", "/api/v1/webhooks", jsonOf({ url }))).status, 400, url);
      for (const role of ["reader", "analyst"] as const)
        assert.equal((await server.ask(role, "/api/v1/webhooks", jsonOf({ url: "https://example.org/" }))).status, 403);
    });
  });

  test("is refused when a name has it, at the moment of the connection", async () => {
    await WebhookReceiver.with(async (receiver) => {
      const url = receiver.url.replace("127.0.0.1", "localhost");
      const message = { id: "msg_1", url, secret: "whsec_AAAA", body: "{}" };
      const { signal } = new AbortController();
      await assert.rejects(sendWebhook(message, new AddressCheck([]), signal), /private address/);
      assert.equal(receiver.messages.length, 0);
      assert.equal(await sendWebhook(message, new AddressCheck(["127.0.0.0/8", "::1/128"]), signal), 204);
      assert.throws(() => new AddressCheck(["everywhere"]), /is no network/);
    });
  });
});

test("a message is signed as the example of the specification is", () => {
  // https://github.com/standard-webhooks/standard-webhooks: the example of its libraries' tests.
  const message = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", url: "", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body: '{"test": 2432232314}' }; // prettier-ignore
  assert.equal(signWebhook(message, 1_614_265_330), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});
