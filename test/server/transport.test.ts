import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request as requestPlain } from "node:http";
import { request as requestEncrypted, type RequestOptions } from "node:https";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { inFolder } from "../kit/in-folder";
import { PROJECT, REBOX } from "../kit/project";
import { makeSelfSigned } from "../kit/server/self-signed";
import { PASSWORD, type TestServer, withServer } from "../kit/server/test-server";

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Asks by a connection that may be encrypted. */
function ask(url: string, options: RequestOptions = {}, body?: string | Buffer): Promise<Answer> {
  const send = url.startsWith("https:") ? requestEncrypted : requestPlain;
  return new Promise((resolve, reject) => {
    const request = send(url, { agent: false, ...options }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (bytes: Buffer) => chunks.push(bytes));
      answer.once("end", () => resolve({ status: answer.statusCode!, headers: answer.headers, text: Buffer.concat(chunks).toString("utf8") })); // prettier-ignore
      answer.once("error", reject);
    });
    request.once("error", reject);
    request.end(body);
  });
}

const SIGN_IN = new URLSearchParams({ name: "administrator", password: PASSWORD }).toString();

/** Signs in as a browser does, which says from which page the form is. */
function signIn(url: string, options: RequestOptions): Promise<Answer> {
  const headers = { "content-type": "application/x-www-form-urlencoded", origin: new URL(url).origin, "sec-fetch-site": "same-origin", ...(options.headers as object) }; // prettier-ignore
  return ask(`${url}/sign-in`, { ...options, method: "POST", headers }, SIGN_IN);
}

async function readAddresses({ read }: TestServer): Promise<(string | null)[]> {
  const { entries } = await read<{ entries: { action: string; address: string | null }[] }>("administrator", "/api/v1/audit"); // prettier-ignore
  return entries.filter(({ action }) => action === "sign in").map(({ address }) => address);
}

describe("a server with a certificate", () => {
  test("is reached by TLS alone, has browsers stay with that, and sends its cookie by nothing else", async () => {
    await inFolder(async (folder) => {
      const { certificate, key, ca } = makeSelfSigned(folder);
      await withServer({ settings: { tls: { certificate, key } } }, async ({ url }) => {
        assert.match(url, /^https:/);
        const health = await ask(`${url}/health`, { ca });
        assert.deepEqual([health.status, health.headers["strict-transport-security"]], [200, "max-age=31536000"]);
        const { status, headers } = await signIn(url, { ca });
        assert.equal(status, 303);
        assert.match(String(headers["set-cookie"]), /; HttpOnly; Secure; SameSite=Lax/);
        await assert.rejects(ask(`${url.replace("https:", "http:")}/health`));
        await assert.rejects(ask(`${url}/health`, { ca, maxVersion: "TLSv1.1" }));
        await assert.rejects(ask(`${url}/health`), /self-signed|SELF_SIGNED/);
      });
    });
  });
});

describe("who a proxy says that asks", () => {
  test("is believed only when the server was started for that", async () => {
    for (const isBehindProxy of [true, false])
      await withServer({ settings: { isBehindProxy } }, async (server) => {
        const headers = { "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https" };
        const { headers: answered } = await signIn(server.url, { headers });
        assert.equal(/Secure/.test(String(answered["set-cookie"])), isBehindProxy);
        assert.deepEqual(await readAddresses(server), [isBehindProxy ? "203.0.113.7" : "127.0.0.1"]);
      });
  });
});

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Reads an example, with its places replaced by those of the test; each must be in it. */
function readExample(name: string, places: Readonly<Record<string, string>>): string {
  let text = readFileSync(join(PROJECT, "conf", name), "utf8");
  for (const [from, to] of Object.entries(places)) {
    assert.ok(text.includes(from), `${name} has ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** Runs a proxy as long as something is done through it. */
async function withProxy(child: ChildProcess, url: string, options: RequestOptions, use: () => Promise<void>) {
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream!.on("data", (bytes: Buffer) => said.push(bytes));
  const ended = once(child, "exit");
  try {
    while ((await ask(`${url}/health`, options).catch(() => undefined))?.status !== 200) {
      if (child.exitCode !== null) throw new Error(Buffer.concat(said).toString("utf8"));
      await sleep(50);
    }
    await use();
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
}

/** Does through a proxy what browsers and programs do. */
async function checkProxied(server: TestServer, url: string, options: RequestOptions): Promise<void> {
  const { status, headers } = await signIn(url, options);
  assert.equal(status, 303);
  const cookie = String(headers["set-cookie"]).split(";")[0]!;
  assert.equal(/Secure/.test(String(headers["set-cookie"])), url.startsWith("https:"));
  assert.deepEqual(await readAddresses(server), ["127.0.0.1"]);
  const { origin } = new URL(url);
  // A page of another site is refused behind a proxy as well.
  assert.equal((await signIn(url, { ...options, headers: { origin: "https://evil.example" } })).status, 403);
  const authorization = `Bearer ${server.tokens.analyst}`;
  const form = `--x\r\ncontent-disposition: form-data; name="command"\r\n\r\ntrue\r\n--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n${"y".repeat(3 << 20)}\r\n--x--\r\n`; // prettier-ignore
  const submitted = await ask(`${url}/api/v1/analyses`, { ...options, method: "POST", headers: { authorization, "content-type": "multipart/form-data; boundary=x" } }, form); // prettier-ignore
  assert.deepEqual([submitted.status, submitted.text], [201, '{"ids":[1]}']);
  const stream = await ask(`${url}/api/v1/analyses/1/events/stream`, { ...options, headers: { authorization } });
  assert.match(stream.text, /^event: end$/m);
  // The live console: this machine is off, which only the server behind the proxy can say.
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/api/v1/machines/office/console`, { ...options, headers: { cookie, origin } }); // prettier-ignore
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  assert.deepEqual([code, /office is off/.test(String(reason))], [1008, true], String(reason));
}

/** As set-up has taken them out of Debian's packages. */
const [NGINX, CADDY] = ["nginx", "caddy"].map((name) => join(PROJECT, "build/proxies", name)) as [string, string];

describe("the example", () => {
  test(
    "for nginx passes all on: sign-in, files, events and the live console",
    { skip: existsSync(NGINX) ? false : "there is no nginx" },
    async () => {
      // prettier-ignore
      await inFolder(async (folder) => {
      const { certificate, key, ca } = makeSelfSigned(folder);
      const port = await findFreePort();
      await withServer({ settings: { isBehindProxy: true } }, async (server) => {
        const places = { "listen 443 ssl": `listen 127.0.0.1:${port} ssl`, "sandbox.example.org": "127.0.0.1", "/etc/ssl/certs/sandbox.pem": certificate, "/etc/ssl/private/sandbox.key": key, "http://127.0.0.1:8700": server.url }; // prettier-ignore
        writeFileSync(join(folder, "site.conf"), readExample("nginx.conf", places));
        const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`); // prettier-ignore
        writeFileSync(join(folder, "nginx.conf"), `daemon off; pid ${folder}/pid; error_log stderr; ${process.getuid!() === 0 ? "user root;" : ""}\nevents {}\nhttp { access_log off; ${folders.join(" ")}\ninclude ${folder}/site.conf; }\n`); // prettier-ignore
        const args = ["-e", "stderr", "-p", folder, "-c", join(folder, "nginx.conf")];
        const tried = spawnSync(NGINX, ["-t", ...args], { encoding: "utf8" });
        assert.equal(tried.status, 0, tried.stderr);
        const url = `https://127.0.0.1:${port}`;
        await withProxy(spawn(NGINX, args), url, { ca }, () => checkProxied(server, url, { ca }));
      });
    });
    },
  );

  test(
    "for Caddy passes all on: sign-in, files, events and the live console",
    { skip: existsSync(CADDY) ? false : "there is no caddy" },
    async () => {
      // prettier-ignore
      await inFolder(async (folder) => {
      const port = await findFreePort();
      await withServer({ settings: { isBehindProxy: true } }, async (server) => {
        const url = `http://127.0.0.1:${port}`;
        const places = { "sandbox.example.org": url, "127.0.0.1:8700": new URL(server.url).host };
        const file = join(folder, "Caddyfile");
        writeFileSync(file, `{\n  admin off\n}\n${readExample("caddy.conf", places)}`);
        const args = ["--config", file, "--adapter", "caddyfile"];
        const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
        const tried = spawnSync(CADDY, ["validate", ...args], { encoding: "utf8", env });
        assert.equal(tried.status, 0, tried.stderr);
        await withProxy(spawn(CADDY, ["run", ...args], { env }), url, {}, () => checkProxied(server, url, {}));
      });
    });
    },
  );

  const ANALYZE = "/usr/bin/systemd-analyze";
  test(
    "for systemd is a unit that it takes, whose command rebox knows",
    { skip: existsSync(ANALYZE) ? false : "there is no systemd-analyze" },
    async () => {
      // prettier-ignore
      await inFolder(async (folder) => {
      const text = readExample("rebox-serve.service", { "/usr/local/bin/rebox": process.execPath });
      const unit = join(folder, "rebox-serve.service");
      writeFileSync(unit, text);
      const { status, stdout, stderr } = spawnSync(ANALYZE, ["verify", "--man=no", "--recursive-errors=no", unit], { encoding: "utf8" }); // prettier-ignore
      assert.deepEqual([status, `${stdout}${stderr}`.trim()], [0, ""]);
      const [, words = ""] = /^ExecStart=\S+ (.*)$/m.exec(text)!;
      mkdirSync(join(folder, "lab/conf"), { recursive: true });
      const args = words.replace("/srv/lab", join(folder, "lab")).split(" ");
      // It comes as far as to miss its users.
      assert.match(spawnSync(process.execPath, [REBOX, ...args], { encoding: "utf8" }).stderr, /there is no user yet/);
    });
    },
  );
});
