import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { until } from "../kit/cluster/test-cluster";
import { KartonSystem, type KartonTask, NO_KARTON } from "../kit/karton/karton-system";
import { withAgent } from "../kit/lab/stand-in-agent";
import { PROJECT } from "../kit/project";
import { type TestServer, withServer } from "../kit/server/test-server";

const LEFT = "what the target has left\n";
/** An auxiliary module that leaves files as the module artefacts does, in machines that are no guests. */
const LEAVES = `
  import { createHash } from "node:crypto";
  import { mkdirSync, writeFileSync } from "node:fs";
  import { join } from "node:path";
  import { Auxiliary } from "rebox/lab";

  export default class Leaves extends Auxiliary {
    static override readonly description = "Leaves files.";

    override async stop(): Promise<void> {
      const contents = { "/tmp/left": ${JSON.stringify(LEFT)}, "/tmp/same": ${JSON.stringify(LEFT)}, "/tmp/large": "x".repeat(5000), "/tmp/empty": "" };
      const time = new Date().toISOString();
      mkdirSync(join(this.run.folder, "artefacts"), { recursive: true });
      const files = Object.entries(contents).map(([path, content]) => {
        const sha256 = createHash("sha256").update(content).digest("hex");
        writeFileSync(join(this.run.folder, "artefacts", sha256), content);
        return { time, moment: "closed", path, pid: 1, process: "sample", size: content.length, sha256 };
      });
      writeFileSync(join(this.run.folder, "artefacts.json"), JSON.stringify({ files, types: {}, cores: [] }));
      this.run.addEvent("process.created", { pid: 100, ppid: 1, name: "sample", commandLine: "./sample", origin: "target" });
      this.run.addEvent("file.written", { pid: 100, process: "sample", path: "/tmp/left" });
    }
  }
`;
const SIGNATURE = `
  import { defineSignature } from "rebox/lab";
  export const signatures = [defineSignature({ name: "leaves-files", title: "It leaves files", score: 7, techniques: ["T1105"], see: (act) => act.type === "file.written" })];
`;
/** A lab whose machine is given targets by an agent. */
const filesFor = (agentPort: number) => ({
  "modules/auxiliary/leaves.ts": LEAVES,
  "modules/signatures/leaves.ts": SIGNATURE,
  "conf/auxiliary.conf": "[leaves]\nenabled = yes\n",
  "conf/machineries/quick.yaml": `machines:\n  office:\n    platform: linux\n    ip: 127.0.0.1\n    agent_port: ${agentPort}\n`,
});
const SCRIPT = "#!/bin/sh\necho seen\n";
const RECOGNIZED = { type: "sample", stage: "recognized", kind: "script", extension: "sh" };

const hash = (text: string) => createHash("sha256").update(text).digest("hex");
const resource = (task: KartonTask | undefined, name: string) => task?.payload[name] as { name: string; sha256: string; text: string }; // prettier-ignore
const list = async (server: TestServer) => (await server.read<{ analyses: { id: number; priority: number; note: string | null; state: string }[] }>("reader", "/api/v1/analyses")).analyses; // prettier-ignore

describe("a Karton system with rebox's service", { skip: NO_KARTON }, () => {
  let system: KartonSystem;
  before(async () => void (system = await KartonSystem.start()));
  after(() => system?.stop());

  test("gets report, tags and files of a sample back, and has what was left not analysed in turn", async () => {
    await withAgent({}, (agent) =>
      withServer({ files: filesFor(agent.port) }, async (server) => {
        const bridge = await system.startBridge({ KARTON_REBOX_URL: server.url, KARTON_REBOX_TOKEN: server.tokens.analyst, KARTON_REBOX_TIMEOUT: "30", KARTON_REBOX_LARGEST: "4000" }); // prettier-ignore
        system.send({
          name: "sample.sh",
          content: SCRIPT,
          headers: RECOGNIZED,
          payload: { rebox: { machine: "office" } },
        });
        await until("all has come back", () => system.tasks.length >= 3);
        const find = (name: string, value: string) => system.tasks.find(({ headers }) => headers[name] === value);
        const analysis = find("type", "analysis");
        const report = JSON.parse(resource(analysis, "report").text) as { analysis: { target: { sha256: string }; timeoutS: number; machine: { name: string } } }; // prettier-ignore
        assert.deepEqual([report.analysis.target.sha256, report.analysis.timeoutS, report.analysis.machine.name], [hash(SCRIPT), 30, "office"], bridge.output()); // prettier-ignore
        assert.match(resource(analysis, "page").text, /^<!doctype html>/i);
        const tags = ["rebox:malicious", "rebox:leaves-files", "attack:t1105"];
        assert.deepEqual(analysis!.payload.tags, tags);
        assert.deepEqual(analysis!.payload.left_out, ["/tmp/large"]);
        assert.equal(resource(analysis, "sample").sha256, hash(SCRIPT));
        const analyzed = find("stage", "analyzed");
        assert.deepEqual([analyzed!.payload.tags, resource(analyzed, "sample").sha256], [tags, hash(SCRIPT)]);
        const left = find("kind", "raw");
        const { name, text, sha256 } = resource(left, "sample");
        assert.deepEqual(
          [name, text, sha256, resource(left, "parent").sha256],
          ["left", LEFT, hash(LEFT), hash(SCRIPT)],
        );
        assert.equal(system.tasks.length, 3);
        const [{ id, priority, note }] = (await list(server)) as [Awaited<ReturnType<typeof list>>[number]];
        assert.deepEqual([left!.payload["rebox-left-by"], priority], [id, 2]);
        assert.match(note ?? "", /^task .* of Karton$/);
        // As karton-classifier hands it on.
        system.send({ name, content: text, headers: RECOGNIZED, persistent: { "rebox-left-by": id } });
        await until("it is passed over", () => bridge.output().includes("is not analysed in turn"));
        assert.equal((await list(server)).length, 1);
        await bridge.end();
      }),
    );
  });

  test("has a task fail, with the reason, when the server refuses it or the analysis has no result", async () => {
    await withServer({}, async (server) => {
      const wrong = await system.startBridge({ KARTON_REBOX_URL: server.url, KARTON_REBOX_TOKEN: "guessed" });
      system.send({ name: "sample.sh", content: SCRIPT, headers: RECOGNIZED });
      await until("it is refused", () => /Failed to process task[^]*\/api\/v1\/analyses: 401 /.test(wrong.output()));
      await wrong.end();
      const bridge = await system.startBridge({ KARTON_REBOX_URL: server.url, KARTON_REBOX_TOKEN: server.tokens.analyst }); // prettier-ignore
      system.send({ name: "sample.sh", content: SCRIPT, headers: RECOGNIZED, payload: { rebox: { note: "mine" } } });
      await until("the field is refused", () => bridge.output().includes('the payload "rebox" has other fields than'));
      assert.equal((await list(server)).length, 0);
      // These machines have no way in for a file.
      system.send({ name: "sample.sh", content: SCRIPT, headers: RECOGNIZED });
      await until("it has failed", () => /analysis 1 is failed: .*cannot be given a target/.test(bridge.output()));
      await bridge.end();
    });
  });
});

test("the guide of the Karton service names the version that is tested", () => {
  const [requirement] = /^karton-core==.*$/m.exec(readFileSync(join(PROJECT, "native/setup/karton-requirements.txt"), "utf8"))!; // prettier-ignore
  assert.ok(readFileSync(join(PROJECT, "docs/guides/karton.md"), "utf8").includes(`pip install ${requirement}`));
});
