import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { jsonOf, type TestServer, writeFiles, withServer } from "../kit/server/test-server";

const EVIL = `<img src=x onerror=alert(1)>`;

interface Recordings {
  readonly recordings: readonly { readonly name: string; readonly folder: string; readonly analysis: number | null }[];
}

/** A manifest as rebox record writes it, of files that are not there. */
function manifestOf(args: readonly string[]): string {
  const file = { role: "-kernel", path: "/nowhere/vmlinuz", size: 4096, changedNs: "1", sha256: "0".repeat(64) };
  const engine = { ...file, role: "the engine", path: "/nowhere/engine.so" };
  return JSON.stringify({
    format: 1,
    rebox: "1",
    qemu: "10.0",
    engine,
    args,
    cwd: "/",
    files: [file],
    diskFormats: [],
    // Compared when it is replayed, behind the engine.
    sum: "0".repeat(64),
  });
}

function addRecording({ lab }: TestServer, folder: string, args: readonly string[] = ["-m", "256"]): void {
  writeFiles(join(lab.folder, folder), { "recording.json": manifestOf(args), log: "x".repeat(100) });
}

describe("recordings", () => {
  test("of the lab and of its analyses are listed, and shown with what they were made of", async () => {
    await withServer({}, async (server) => {
      assert.deepEqual(await server.read("reader", "/api/v1/recordings"), { recordings: [] });
      const id = server.add();
      addRecording(server, "recordings/boot", ["-append", EVIL]);
      addRecording(server, `analyses/${id}/recording`);
      // What is none, or leads elsewhere, is left out.
      mkdirSync(join(server.lab.folder, "recordings/empty"));
      writeFileSync(join(server.lab.folder, "recordings/file"), "");
      const { recordings } = await server.read<Recordings>("reader", "/api/v1/recordings");
      assert.deepEqual(recordings.map(({ name }) => name).sort(), [`analysis:${id}`, "boot"]);
      const one = await server.read<{ folder: string; manifest: { args: string[] } }>("reader", "/api/v1/recordings/boot"); // prettier-ignore
      assert.deepEqual([one.folder, one.manifest.args], ["recordings/boot", ["-append", EVIL]]);
      const { cookie } = await server.signIn("reader");
      const page = async (path: string) => (await fetch(`${server.url}${path}`, { headers: { cookie } })).text();
      assert.match(await page("/recordings"), /recordings\/boot.*analysis 1|analysis 1.*recordings\/boot/s);
      const shown = await page(`/recordings/analysis%3A${id}?at=1234567`);
      assert.match(shown, new RegExp(`rebox replay analyses/${id}/recording --at 1234567 --ui`));
      assert.ok(!(await page("/recordings/boot")).includes(EVIL));
    });
  });

  test("that are not there, damaged, or no name of one are refused, and none is replayed by who may not", async () => {
    await withServer({}, async (server) => {
      addRecording(server, "recordings/boot");
      writeFiles(join(server.lab.folder, "recordings/torn"), { "recording.json": "{" });
      symlinkSync("/etc", join(server.lab.folder, "recordings/linked"));
      const status = async (name: string) => (await server.ask("reader", `/api/v1/recordings/${name}`)).status;
      for (const name of [
        "nothing",
        "..",
        "%2e%2e",
        "..%2fanalyses",
        "analysis:99",
        "analysis:x",
        ".hidden",
        "linked",
        "a%00b",
      ])
        // prettier-ignore
        assert.equal(await status(name), 404, name);
      const torn = await server.ask("reader", "/api/v1/recordings/torn");
      assert.deepEqual([torn.status, /is damaged/.test(await torn.text())], [409, true]);
      const ask = (role: "analyst" | "administrator", body: object, name = "boot") => server.ask(role, `/api/v1/recordings/${name}/ask`, jsonOf(body)); // prettier-ignore
      assert.equal((await ask("analyst", { at: 1 })).status, 403);
      assert.equal((await ask("administrator", { at: 1 }, "nothing")).status, 404);
      // Nothing of a request is a line of the shell.
      for (const body of [
        {},
        { at: -1 },
        { at: "1\nquit" },
        { at: 1, questions: ["x = 1"] },
        { at: 1, questions: [] },
        { at: 1, pid: "1; quit" },
        { at: 1e300 },
      ])
        // prettier-ignore
        assert.equal((await ask("administrator", body)).status, 400, JSON.stringify(body));
      const refused = await ask("administrator", { at: 1000 });
      const text = await refused.text();
      assert.deepEqual([refused.status, /\/nowhere\/(engine\.so|vmlinuz)|another (engine|version)/.test(text)], [409, true], text); // prettier-ignore
      const { entries } = await server.read<{ entries: { action: string; detail: string }[] }>("administrator", "/api/v1/audit"); // prettier-ignore
      assert.ok(entries.some(({ action, detail }) => action === "replay recording" && detail === "boot up to 1000"));
    });
  });
});
