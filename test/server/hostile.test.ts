import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { getArchiveProgram } from "../../src/lab/analysis/export/archive-program";
import { cleanName } from "../../src/server/queue/sample-store";
import { fileForm, withServer } from "../kit/server/test-server";

const EVIL = `<img src=x onerror=alert(1)>"'&`;

describe("a name", () => {
  test("that a sender gives is a file's name and nothing else", () => {
    const names = ["../../etc/passwd", "..", ".", "", "/", "a/b\\c", ".hidden", "-rf", "a\0b", "a\nb", "x\u202Egnp.exe", "é".repeat(500)]; // prettier-ignore
    for (const name of names) {
      const clean = cleanName(name);
      assert.ok(
        clean !== "" && clean !== "." && clean !== ".." && !/[/\\\0\n\u202E]/.test(clean),
        JSON.stringify(clean),
      );
      assert.ok(!/^[.-]/.test(clean) && Buffer.byteLength(clean) <= 120, clean);
    }
    assert.equal(cleanName("setup (1) ü.exe"), "setup (1) ü.exe");
  });

  test("of markup is text on every page, and in every form of the report", async () => {
    await withServer({}, async ({ add, signIn, url, ask }) => {
      const event = { type: "file.written", pid: 100, process: EVIL, path: `/tmp/${EVIL}` };
      const id = add({
        name: EVIL,
        command: EVIL,
        events: [event],
        domains: [EVIL],
        artefacts: { [`/tmp/${EVIL}`]: "x" },
      });
      const other = add({ name: "plain" });
      const { cookie } = await signIn("administrator");
      const pages = ["/", `/analyses/${id}`, `/analyses/${id}/events`, `/compare?one=${id}&other=${other}`, `/search?name=${encodeURIComponent(EVIL)}`, `/search?hash=${encodeURIComponent(EVIL)}`, `/nothing/${encodeURIComponent(EVIL)}`]; // prettier-ignore
      for (const page of pages) {
        const answer = await fetch(`${url}${page}`, { headers: { cookie } });
        const text = await answer.text();
        assert.ok(!text.includes("<img src=x"), page);
        const policy = answer.headers.get("content-security-policy")!;
        assert.ok(policy.includes("script-src 'self'") && !policy.includes("unsafe"), page);
      }
      const page = await (await fetch(`${url}/analyses/${id}`, { headers: { cookie } })).text();
      const [, address] = /<iframe src="([^"]+)" sandbox=""/.exec(page)!;
      const report = await fetch(`${url}${address}`);
      assert.ok(!(await report.text()).includes("<img src=x"));
      assert.match(report.headers.get("content-security-policy")!, /default-src 'none'.*sandbox/);
      const json = await ask("reader", `/api/v1/analyses/${id}/report.json`);
      assert.equal(json.headers.get("x-content-type-options"), "nosniff");
      // The name is in no header as it is.
      const target = await ask("reader", `/api/v1/analyses/${id}/target?raw=yes`);
      assert.match(target.headers.get("content-disposition")!, /^attachment; filename\*=UTF-8''[\w%.-]+$/);
    });
  });
});

describe("an address", () => {
  test("leads to no file outside of the analysis, however it is written, and along no link", async () => {
    await withServer({}, async ({ lab, ask, add }) => {
      const id = add({ artefacts: { "/tmp/a": "kept" } });
      const other = add();
      const folder = join(lab.folder, "analyses", String(id));
      symlinkSync("/etc/passwd", join(folder, "link"));
      symlinkSync("/etc", join(folder, "folder"));
      linkSync(join(lab.folder, "server/accounts.db"), join(folder, ".hidden"));
      const names = ["../../server/accounts.db", "..%2f..%2fserver%2faccounts.db", "%2e%2e/%2e%2e/server/accounts.db", "....//....//etc/passwd", "/etc/passwd", "%2fetc%2fpasswd", "link", "folder/passwd", ".hidden", `../${other}/report.json`, "artefacts", "a%00b", "artefacts%5c..%5c..%5canalysis.json"]; // prettier-ignore
      for (const name of names) {
        const answer = await ask("administrator", `/api/v1/analyses/${id}/files/${name}?raw=yes`);
        assert.ok([400, 404].includes(answer.status), `${name}: ${answer.status}`);
      }
      const page = await ask("administrator", `/analyses/${id}/report/x/../../../server/accounts.db`);
      assert.equal(page.status, 404);
      assert.equal((await ask("reader", `/api/v1/analyses/${id}/files/analysis.json`)).status, 200);
    });
  });

  test("of a report is of that report alone, and cannot be made up", async () => {
    await withServer({}, async ({ url, add, signIn }) => {
      const [one, other] = [add(), add()];
      const { cookie } = await signIn("reader");
      const page = await (await fetch(`${url}/analyses/${one}`, { headers: { cookie } })).text();
      const [, address] = /<iframe src="([^"]+)" sandbox=""/.exec(page)!;
      const status = async (path: string) => (await fetch(`${url}${path}`)).status;
      assert.equal(await status(address!), 200);
      assert.equal(await status(address!.replace(`/${one}/`, `/${other}/`)), 404);
      assert.equal(await status(address!.replace("report.html", "report.json")), 404);
      assert.equal(await status(address!.replace(/\.[\w-]{5}/, ".AAAAA")), 404);
    });
  });
});

describe("a question", () => {
  test("is never a part of a statement of the database", async () => {
    await withServer({}, async ({ read, ask, add }) => {
      add({ name: "one" });
      const texts = ["' OR 1=1 --", '"; DROP TABLE analyses; --', "%", "_", "\\", "one' UNION SELECT * FROM facts --"];
      for (const text of texts)
        for (const member of ["name", "signature", "indicator", "text", "machine", "by"]) {
          const { analyses } = await read<{ analyses: unknown[] }>("reader", `/api/v1/analyses?${member}=${encodeURIComponent(text)}`); // prettier-ignore
          assert.deepEqual(analyses, [], `${member}=${text}`);
        }
      assert.equal((await ask("reader", `/api/v1/analyses?hash=${encodeURIComponent("' OR 1=1 --")}`)).status, 400);
      assert.equal((await read<{ analyses: unknown[] }>("reader", "/api/v1/analyses?name=one")).analyses.length, 1);
    });
  });

  test("that is malformed gets an answer that says so, and nothing of the server's inside", async () => {
    await withServer({}, async ({ url, tokens, log }) => {
      const authorization = `Bearer ${tokens.administrator}`;
      const send = (path: string, init: RequestInit) => fetch(`${url}${path}`, { ...init, headers: { authorization, ...(init.headers as object) } }); // prettier-ignore
      const json = { "content-type": "application/json" };
      const answers = [
        await send("/api/v1/users", { method: "POST", headers: json, body: "{" }),
        await send("/api/v1/users", { method: "POST", headers: json, body: '{"__proto__": {"x": 1}}' }),
        await send("/api/v1/users", { method: "POST", headers: json, body: "[]" }),
        await send("/api/v1/users", { method: "POST", headers: { "content-type": "text/xml" }, body: "<a/>" }),
        await send("/api/v1/analyses", { method: "POST", headers: { "content-type": "multipart/form-data; boundary=x" }, body: "--y" }), // prettier-ignore
        await send("/api/v1/analyses/0", {}),
        await send("/api/v1/analyses/1e9999", {}),
        await send(`/api/v1/analyses/${"9".repeat(2000)}`, {}),
        await send("/%ff", {}),
      ];
      for (const answer of answers) {
        const text = await answer.text();
        assert.ok(answer.status >= 400 && answer.status < 500, `${answer.url}: ${answer.status} ${text}`);
        assert.ok(!/node_modules|at \w+ \(|\.js:\d/.test(text), text);
      }
      assert.deepEqual(log, []);
    });
  });
});

describe("a file", () => {
  test("that is too large is refused, and leaves nothing", async () => {
    await withServer({ settings: { largestUpload: 1 << 20 } }, async ({ lab, ask }) => {
      const body = fileForm("big", new Uint8Array((1 << 20) + 1));
      const answer = await ask("analyst", "/api/v1/analyses", { method: "POST", body });
      assert.equal(answer.status, 413, await answer.text());
      assert.ok(!existsSync(join(lab.folder, "samples")));
      assert.deepEqual(readdirSync(join(lab.folder, "server/incoming")), []);
      const exact = await ask("analyst", "/api/v1/analyses", { method: "POST", body: fileForm("fits", new Uint8Array(1 << 20), { command: "true" }) }); // prettier-ignore
      assert.equal(exact.status, 201);
    });
  });

  test("whose connection breaks leaves nothing, a thousand times over", async () => {
    await withServer({}, async ({ lab, url, tokens, read }) => {
      const { port } = new URL(url);
      const head = `POST /api/v1/analyses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokens.analyst}\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n`; // prettier-ignore
      // Each at another moment: before the head has come as a whole, within the form, and within the file.
      for (let count = 0; count < 1_000; count += 20)
        await Promise.all(
          Array.from({ length: 20 }, async (_, at) => {
            const socket = connect(Number(port), "127.0.0.1");
            socket.on("error", () => undefined);
            socket.write((head + "x".repeat(10_000)).slice(0, count * 10 + at));
            await sleep(at);
            socket.destroy();
          }),
        );
      while (readdirSync(join(lab.folder, "server/incoming")).length > 0) await sleep(20);
      assert.ok(!existsSync(join(lab.folder, "samples")));
      assert.deepEqual((await read<{ analyses: unknown[] }>("reader", "/api/v1/analyses")).analyses, []);
    });
  });

  test("that came as a whole leaves nothing either when its form breaks behind it, or asks for what there is not", async () => {
    await withServer({}, async ({ lab, url, tokens, ask, read }) => {
      const { port } = new URL(url);
      const part = (name: string, content: string) => `--x\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n${content}\r\n`; // prettier-ignore
      const head = `POST /api/v1/analyses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokens.analyst}\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n`; // prettier-ignore
      const listKept = () => (existsSync(join(lab.folder, "samples")) ? readdirSync(join(lab.folder, "samples")) : []);
      const socket = connect(Number(port), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(`${head}${part("first", "whole")}${part("second", "y".repeat(1_000))}`);
      while (listKept().length === 0) await sleep(20);
      socket.destroy();
      while (listKept().length > 0) await sleep(20);
      assert.deepEqual(readdirSync(join(lab.folder, "server/incoming")), []);
      const refused = async (fields: Record<string, string>) => (await ask("analyst", "/api/v1/analyses", { method: "POST", body: fileForm("a", "content", fields) })).status; // prettier-ignore
      assert.equal(await refused({ machine: "nowhere" }), 400);
      assert.equal(await refused({ network: "user" }), 403);
      assert.deepEqual(listKept(), []);
      // One that an analysis has stays, although the same comes again and is refused.
      const taken = await read<{ ids: number[] }>("analyst", "/api/v1/analyses", { method: "POST", body: fileForm("a", "content", { not_before: "2100-01-01T00:00:00Z" }) }); // prettier-ignore
      assert.equal(taken.ids.length, 1);
      assert.equal(await refused({ machine: "nowhere" }), 400);
      assert.equal(listKept().length, 1);
      // Nor is the archive of an analysis gone once its facts are those of what was in it.
      const database = openDatabase(lab.folder);
      database.connection.prepare("UPDATE facts SET sha256 = ? WHERE id = ?").run("ab".repeat(32), taken.ids[0]!);
      database.close();
      assert.equal(await refused({ machine: "nowhere" }), 400);
      assert.equal(listKept().length, 1);
      // It goes with the last analysis of it.
      const [id] = taken.ids;
      assert.equal((await ask("analyst", `/api/v1/analyses/${id}/cancel`, { method: "POST" })).ok, true);
      assert.equal((await ask("analyst", `/api/v1/analyses/${id}`, { method: "DELETE" })).ok, true);
      assert.deepEqual(listKept(), []);
    });
  });

  test("that is an archive which unpacks without end is refused by its analysis", async () => {
    await withServer({}, async ({ lab, ask, untilEnded }) => {
      const folder = join(lab.folder, "bomb");
      mkdirSync(folder);
      execFileSync("truncate", ["-s", "600M", join(folder, "zeros")]);
      execFileSync(getArchiveProgram(), [
        "a",
        "-tzip",
        "-mx=1",
        "-bso0",
        "-bsp0",
        join(folder, "bomb.zip"),
        join(folder, "zeros"),
      ]);
      const body = fileForm("bomb.zip", Uint8Array.from(await import("node:fs").then(({ readFileSync }) => readFileSync(join(folder, "bomb.zip"))))); // prettier-ignore
      const answer = await ask("analyst", "/api/v1/analyses", { method: "POST", body });
      assert.equal(answer.status, 201);
      const { ids } = (await answer.json()) as { ids: [number] };
      const { state, reason } = await untilEnded(ids[0]);
      assert.equal(state, "failed");
      assert.match(reason!, /is larger than 512 MiB/);
      assert.deepEqual(readdirSync(join(lab.folder, "analyses", String(ids[0]))).filter((name) => name.startsWith(".")), []); // prettier-ignore
    });
  });

  test("of a guest comes as an archive with a password, and is shown by no browser", async () => {
    await withServer({}, async ({ lab, ask, add }) => {
      const page = "<script>alert(1)</script>";
      const id = add({ artefacts: { "/tmp/page.html": page } });
      const { files } = (await (await ask("reader", `/api/v1/analyses/${id}/files`)).json()) as { files: { path: string }[] }; // prettier-ignore
      const name = files.find(({ path }) => path.startsWith("artefacts/"))!.path;
      const archive = await ask("reader", `/api/v1/analyses/${id}/files/${name}`);
      assert.equal(archive.headers.get("content-type"), "application/zip");
      const file = join(lab.folder, "a.zip");
      writeFileSync(file, Buffer.from(await archive.arrayBuffer()));
      assert.throws(() => execFileSync(getArchiveProgram(), ["t", "-pwrong", file], { stdio: "ignore" }));
      const content = execFileSync(getArchiveProgram(), ["x", "-so", "-pinfected", "-bsp0", file], {
        encoding: "utf8",
      });
      assert.equal(content, page);
      const raw = await ask("reader", `/api/v1/analyses/${id}/files/${name}?raw=yes`);
      assert.equal(await raw.text(), page);
      assert.deepEqual(
        [raw.headers.get("content-type"), raw.headers.get("x-content-type-options")],
        ["application/octet-stream", "nosniff"],
      );
      assert.match(raw.headers.get("content-security-policy")!, /sandbox/);
      assert.match(raw.headers.get("content-disposition")!, /^attachment/);
      assert.deepEqual(readdirSync(join(lab.folder, "server/outgoing")), [], "what was made for an answer is removed");
    });
  });
});
