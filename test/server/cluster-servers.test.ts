import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "node:tls";
import WebSocket from "ws";
import { connectPinned } from "../../src/server/live/pinned-connection";
import { TestCluster, until } from "../kit/cluster/test-cluster";
import { keyDown, LiveClient } from "../kit/server/live-client";
import { makeSelfSigned } from "../kit/server/self-signed";
import { jsonOf, type TestServer, withServer } from "../kit/server/test-server";

interface Host {
  readonly name: string;
  readonly state: string;
  readonly isDraining: boolean;
}

describe("servers of a cluster", () => {
  let cluster: TestCluster;
  before(() => (cluster = TestCluster.startInFolder()));
  afterEach(() => cluster.endHosts());
  after(() => cluster.stop());

  /** Starts a server on a lab of the cluster. */
  const serve = (lab: string, use: (server: TestServer) => Promise<void>) =>
    withServer({ files: { "conf/cluster.yaml": `lab: ${lab}\nfolder: ${join(cluster.folder, "cluster")}\n` } }, use);

  /** Asks for an analysis, and waits until it is in a phase. */
  async function start(server: TestServer, command: string, wanted = "running"): Promise<number> {
    const { ids } = await server.read<{ ids: [number] }>("analyst", "/api/v1/analyses", jsonOf({ command }));
    for (;;) {
      const { phase } = await server.read<{ phase: string }>("reader", `/api/v1/analyses/${ids[0]}`);
      if (phase === wanted) return ids[0];
      await sleep(50);
    }
  }

  async function open(server: TestServer, who: "reader" | "analyst", path: string): Promise<LiveClient> {
    const client = await LiveClient.open(server, who, path);
    if (typeof client === "number") throw new Error(`${path}: ${client}`);
    return client;
  }

  test("show the hosts, which administrators drain, and have their analyses made by the same ones", async () => {
    await cluster.startHost(cluster.makeLab("lab-one", "office"), "one");
    await serve("front-one", async (first) => {
      await serve("front-two", async (second) => {
        const list = async () => (await second.read<{ hosts: Host[] }>("reader", "/api/v1/hosts")).hosts;
        assert.deepEqual((await list()).map(({ name, state, isDraining }) => [name, state, isDraining]), [["one", "working", false]]); // prettier-ignore
        assert.doesNotMatch(JSON.stringify(await list()), /word/);
        assert.equal((await second.ask("analyst", "/api/v1/hosts/one/drain", { method: "POST" })).status, 403);
        assert.equal((await second.ask("administrator", "/api/v1/hosts/none/drain", { method: "POST" })).status, 404);
        await second.read("administrator", "/api/v1/hosts/one/drain", { method: "POST" });
        await until("the other sees it, too", async () => /<span class="badge ">draining<\/span>/.test(await (await first.ask("reader", "/hosts")).text())); // prettier-ignore
        const page = await (await first.ask("administrator", "/hosts")).text();
        assert.match(page, /action="\/hosts\/one\/resume"/);
        assert.equal((await first.ask("administrator", "/hosts/one/resume", { method: "POST" })).status, 303);
        await until("it is seen", async () => !(await list())[0]!.isDraining);
        const ids = await Promise.all([first, second].map((server) => start(server, "true", "ended")));
        assert.deepEqual(ids, [1, 1]);
        for (const server of [first, second]) assert.equal((await server.untilEnded(1)).state, "finished");
        const { entries } = await second.read<{ entries: { action: string }[] }>("administrator", "/api/v1/audit");
        assert.ok(entries.some(({ action }) => action === "drain host"));
      });
    });
  });

  test("show screen and console through the host that has the machine, where it lets them", async () => {
    const lab = cluster.makeLab("lab-two", "office");
    assert.match(cluster.run("host", "--lab", lab, "--live", "0.0.0.0:0").stderr, /on 0\.0\.0\.0 others could read passwords on their way/); // prettier-ignore
    assert.match(cluster.run("host", "--lab", lab, "--live", "0.0.0.0:0", "--plain-http").stderr, /0\.0\.0\.0 is every address of this host/); // prettier-ignore
    const host = await cluster.startHost(lab, "two", "--live", "127.0.0.1:0");
    await serve("front-three", async (server) => {
      const id = await start(server, "echo seen from elsewhere; sleep 100");
      const place = `/api/v1/analyses/${id}`;
      const reader = await open(server, "reader", `${place}/screen`);
      assert.equal(await reader.shakeHands(), "quick");
      assert.equal(await reader.askForPicture(2, 2), 1);
      const analyst = await open(server, "analyst", `${place}/screen?control=yes`);
      await analyst.shakeHands();
      analyst.send(keyDown(0x61));
      assert.equal(await analyst.askForPicture(2, 2), 1);
      const console = await open(server, "reader", `${place}/console`);
      assert.match(await console.until("seen from elsewhere"), /seen from elsewhere/);
      assert.equal(await LiveClient.open(server, "reader", `${place}/screen?control=yes`), 403);
      const { entries } = await server.read<{ entries: { action: string; detail: string }[] }>("administrator", "/api/v1/audit"); // prettier-ignore
      assert.ok(entries.some(({ action, detail }) => action === "take over screen" && detail === `analysis ${id} on office of the host two`)); // prettier-ignore
      await server.read("analyst", `${place}/cancel`, { method: "POST" });
      await reader.untilEnded();
      await server.untilEnded(id);
      // Who has not the word is refused by the host itself.
      const { hosts, queue } = cluster.openFolder(lab);
      const live = (await hosts.findLive("two"))!;
      const [found] = await queue.list({ origin: "front-three", number: id });
      const knock = (path: string, word: string) => LiveClient.open({ url: live.url, tokens: server.tokens }, { authorization: `Bearer ${word}` }, path); // prettier-ignore
      const screen = `/live/${found!.id}/screen`;
      for (const word of ["guessed", "", "x".repeat(live.word.length)])
        assert.equal(await knock(screen, word), 401, word);
      assert.deepEqual([await knock("/live/x/screen", live.word), await knock("//", "guessed")], [404, 401]);
      // A host ends although somebody holds a connection, with a request that was refused or with none.
      const { hostname, port } = new URL(live.url);
      const silent = connect({ port: Number(port), host: hostname });
      const refused = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
      for (const socket of [silent, refused]) socket.on("error", () => undefined);
      refused.write("GET // HTTP/1.1\r\nHost: host\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      const [answer] = (await once(refused, "data")) as [Buffer];
      assert.match(String(answer), /^HTTP\/1\.1 401 /);
      await host.end();
      assert.equal(host.child.exitCode, 0, host.errors());
      assert.doesNotMatch(host.errors(), /nobody has caught/);
      for (const socket of [silent, refused]) socket.destroy();
    });
  });

  test("reach a host by TLS that signs its own certificate, and say nothing to another one", async () => {
    const { certificate, key } = makeSelfSigned(cluster.folder);
    const host = await cluster.startHost(cluster.makeLab("lab-five", "office"), "five", "--live", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", key); // prettier-ignore
    await serve("front-five", async (server) => {
      const id = await start(server, "sleep 100");
      const reader = await open(server, "reader", `/api/v1/analyses/${id}/screen`);
      assert.equal(await reader.shakeHands(), "quick", host.errors());
      await server.read("analyst", `/api/v1/analyses/${id}/cancel`, { method: "POST" });
      await server.untilEnded(id);
    });
    const { hosts } = cluster.openFolder(host.folder);
    const { fingerprint, word } = (await hosts.findLive("five"))!;
    const heard: Buffer[] = [];
    const other = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (socket) => socket.on("data", (bytes: Buffer) => heard.push(bytes)).on("error", () => undefined)); // prettier-ignore
    try {
      other.listen(0, "127.0.0.1");
      await once(other, "listening");
      const { port } = other.address() as AddressInfo;
      const knock = (known: string) => new WebSocket(`wss://127.0.0.1:${port}/live`, { headers: { authorization: word }, createConnection: connectPinned(known) }); // prettier-ignore
      const foreign = fingerprint!.replace(/^../, (text) => (text === "00" ? "01" : "00"));
      const [error] = (await once(knock(foreign), "error")) as [Error];
      assert.match(error.message, /its certificate is not the one that it has told the cluster of/);
      assert.deepEqual(heard, []);
      const greeting = knock(fingerprint!).on("error", () => undefined);
      await until("the right one hears it", () => String(Buffer.concat(heard)).includes(word));
      greeting.terminate();
    } finally {
      other.close();
    }
  });

  test("say why a machine of a host is not shown", async () => {
    const lab = cluster.makeLab("lab-three", "office");
    const host = await cluster.startHost(lab, "three");
    await serve("front-four", async (server) => {
      const id = await start(server, "sleep 100");
      const viewer = await open(server, "reader", `/api/v1/analyses/${id}/screen`);
      assert.match((await viewer.untilEnded()).reason, /its machine is on the host three, which shows none; start that with rebox host --live/); // prettier-ignore
      await server.read("analyst", `/api/v1/analyses/${id}/cancel`, { method: "POST" });
      await server.untilEnded(id);
      await host.end();
      const waits = await start(server, "true", "waiting for a machine");
      const other = await open(server, "reader", `/api/v1/analyses/${waits}/screen`);
      assert.match((await other.untilEnded()).reason, new RegExp(`analysis ${waits} has no machine yet`));
      const seen = await cluster.startHost(lab, "three", "--live", "127.0.0.1:0");
      await server.untilEnded(waits);
      const runs = await start(server, "sleep 100");
      await seen.end("SIGKILL");
      const late = await open(server, "reader", `/api/v1/analyses/${runs}/screen`);
      assert.match((await late.untilEnded()).reason, /the host three cannot be reached at ws:/);
    });
  });

  test("without a cluster have no hosts, and say so", async () => {
    await withServer({}, async (server) => {
      assert.equal((await server.ask("reader", "/api/v1/hosts")).status, 409);
      assert.match(await (await server.ask("reader", "/hosts")).text(), /This lab has no cluster/);
    });
  });
});
