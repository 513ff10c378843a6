import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openAccountDatabase } from "../../src/server/accounts/account-database";
import { type Right, type Role, RIGHTS_OF } from "../../src/server/accounts/roles";
import { Sessions } from "../../src/server/accounts/sessions";
import { Tokens } from "../../src/server/accounts/tokens";
import { cleanPlace } from "../../src/server/pages/sign-in-routes";
import { fileForm, jsonOf, PASSWORD, type TestServer, USERS, withServer } from "../kit/server/test-server";

/** The answers by which a server says that it knows the caller not, or that the right is missing. */
const REFUSALS = [401, 403];

/** Makes the address of a route with parameters that nothing has. */
function toAddress(url: string): string {
  return url.replace(/:(id|ids|limit|offset|window|number)\b/g, "999999").replace(/:hash\b/g, "0".repeat(32)).replace(/:kind\b/g, "md5").replace(/:form\b/g, "misp").replace(/:\w+/g, "nothing").replace("*", "nothing"); // prettier-ignore
}

/** Whether a server lets a caller come to what a route does. */
async function isLetIn(
  { url }: TestServer,
  method: string,
  address: string,
  headers: Record<string, string>,
): Promise<boolean> {
  // prettier-ignore
  const stop = new AbortController();
  const answer = await fetch(`${url}${address}`, { method, headers, redirect: "manual", signal: stop.signal });
  stop.abort();
  // Pages lead to the sign-in who has not signed in.
  const isSentToSignIn = answer.status === 302 && (answer.headers.get("location") ?? "").startsWith("/sign-in");
  return !REFUSALS.includes(answer.status) && !isSentToSignIn;
}

describe("each route", () => {
  test("lets in by role exactly those who have its right, by tokens", async () => {
    await withServer({}, async (server) => {
      const routes = server.server.routes.filter(({ method }) => method !== "HEAD" && method !== "OPTIONS");
      assert.ok(routes.length > 70, `${routes.length} routes`);
      for (const { method, url, access } of routes) {
        const address = toAddress(url);
        // Their users sign in by what they send.
        if (access === "open" && method === "POST") continue;
        const hasTicket = url.includes(":ticket");
        assert.equal(await isLetIn(server, method, address, {}), access === "open", `${method} ${url} by nobody`);
        for (const role of USERS) {
          const isRight = access === "open" || RIGHTS_OF[role].includes(access);
          const headers = { authorization: `Bearer ${server.tokens[role]}` };
          if (url === "/sign-out" || hasTicket) continue;
          assert.equal(await isLetIn(server, method, address, headers), isRight, `${method} ${url} by ${role}`);
        }
      }
    });
  });

  test("that changes something refuses a browser's session without the word of its forms, or from another site", async () => {
    await withServer({}, async (server) => {
      const { cookie, csrf } = await server.signIn("administrator");
      assert.ok(csrf.length > 20);
      const routes = server.server.routes.filter(({ method, access }) => ["POST", "PATCH", "DELETE"].includes(method) && access !== "open"); // prettier-ignore
      assert.ok(routes.length > 20);
      for (const { method, url } of routes) {
        const address = toAddress(url);
        const ask = async (headers: Record<string, string>) => {
          const isForm = /submit|create|analyses$/.test(url);
          const init = { method, headers: { cookie, ...headers }, redirect: "manual", ...(isForm ? { body: fileForm("a", "b") } : {}) } as const; // prettier-ignore
          const { status } = await fetch(`${server.url}${address}`, init);
          return status;
        };
        const refusal = url.startsWith("/apiv2") ? 401 : 403;
        assert.equal(await ask({}), refusal, `${method} ${url}`);
        assert.equal(
          await ask({ "x-csrf-token": "x".repeat(csrf.length) }),
          refusal,
          `${method} ${url} with another word`,
        );
        assert.equal(await ask({ "x-csrf-token": csrf, "sec-fetch-site": "cross-site" }), url.startsWith("/apiv2") ? 403 : refusal, `${method} ${url}`); // prettier-ignore
        assert.equal(await ask({ "x-csrf-token": csrf, origin: "http://evil.example" }), url.startsWith("/apiv2") ? 403 : refusal, `${method} ${url}`); // prettier-ignore
      }
      const { analyses } = await server.read<{ analyses: unknown[] }>("reader", "/api/v1/analyses");
      assert.deepEqual(analyses, []);
      const good = await fetch(`${server.url}/api/v1/users`, { ...jsonOf({ name: "more", role: "reader", password: PASSWORD }), headers: { cookie, "x-csrf-token": csrf, "content-type": "application/json" } }); // prettier-ignore
      assert.equal(good.status, 201);
    });
  });

  test("of CAPE's clients knows no session, since those delete by GET", async () => {
    await withServer({}, async (server) => {
      const { cookie } = await server.signIn("administrator");
      const id = server.add();
      const answer = await fetch(`${server.url}/apiv2/tasks/delete/${id}/`, { headers: { cookie } });
      assert.equal(answer.status, 401);
      assert.equal((await server.untilEnded(id)).state, "finished");
    });
  });
});

describe("a session", () => {
  test("begins anew with each sign-in: what a browser brought along is never taken over", async () => {
    await withServer({}, async ({ url, signIn }) => {
      const body = new URLSearchParams({ name: "reader", password: PASSWORD });
      const planted = "rebox_session=planted-by-somebody-else";
      const answer = await fetch(`${url}/sign-in`, { method: "POST", body, redirect: "manual", headers: { cookie: planted } }); // prettier-ignore
      const cookie = answer.headers.get("set-cookie")!;
      assert.ok(!cookie.includes("planted"));
      assert.match(cookie, /^rebox_session=[\w-]{43}; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Lax$/);
      assert.equal((await fetch(`${url}/`, { headers: { cookie: planted }, redirect: "manual" })).status, 302);
      const first = await signIn("reader");
      const again = await fetch(`${url}/sign-in`, { method: "POST", body, redirect: "manual", headers: { cookie: first.cookie } }); // prettier-ignore
      assert.notEqual(again.headers.get("set-cookie")!.split(";")[0], first.cookie);
      assert.equal((await fetch(`${url}/`, { headers: { cookie: first.cookie }, redirect: "manual" })).status, 302);
    });
  });

  test("ends with the sign-out, with another password, and when it was not used for half a day", async () => {
    await withServer({}, async ({ url, lab, signIn, ask }) => {
      const isIn = async (cookie: string) => (await fetch(`${url}/`, { headers: { cookie }, redirect: "manual" })).status === 200; // prettier-ignore
      const { cookie, csrf } = await signIn("analyst");
      assert.ok(await isIn(cookie));
      await fetch(`${url}/sign-out`, { method: "POST", headers: { cookie }, body: new URLSearchParams({ csrf }), redirect: "manual" }); // prettier-ignore
      assert.ok(!(await isIn(cookie)));
      const second = await signIn("analyst");
      const change = await ask("administrator", "/api/v1/users/analyst", jsonOf({ password: PASSWORD }, "PATCH"));
      assert.equal(change.status, 204);
      assert.ok(!(await isIn(second.cookie)));
      const third = await signIn("analyst");
      const database = openAccountDatabase(lab.folder);
      database.prepare("UPDATE sessions SET seen_ms = seen_ms - ?").run(13 * 3_600_000);
      assert.ok(!(await isIn(third.cookie)));
      assert.equal(new Sessions(database).find("nothing"), undefined);
      database.close();
    });
  });

  test("is not begun with a wrong password, nor by another site; many attempts are refused unread", async () => {
    await withServer({}, async ({ url, read }) => {
      const attempt = (name: string, password: string, headers: Record<string, string> = {}) =>
        fetch(`${url}/sign-in`, { method: "POST", body: new URLSearchParams({ name, password }), redirect: "manual", headers }); // prettier-ignore
      const unknown = await attempt("nobody", PASSWORD);
      const wrong = await attempt("reader", "wrong");
      assert.deepEqual([unknown.status, wrong.status], [401, 401]);
      // The same page: it does not tell which users there are.
      assert.equal(await unknown.text(), await wrong.text());
      assert.equal((await attempt("reader", PASSWORD, { "sec-fetch-site": "cross-site" })).status, 403);
      const statuses = [];
      for (let count = 0; count < 9; count++) statuses.push((await attempt("reader", "wrong")).status);
      assert.ok(statuses.includes(429), statuses.join());
      const { entries } = await read<{ entries: { action: string; detail: string }[] }>(
        "administrator",
        "/api/v1/audit",
      );
      assert.ok(entries.some(({ action, detail }) => action === "sign in refused" && detail === "nobody"));
    });
  });

  test("leads after the sign-in to a place of this server only", () => {
    for (const place of [
      "//evil.example",
      "https://evil.example",
      "/\\evil.example",
      "javascript:alert(1)",
      "/a\r\nb",
      "",
    ])
      assert.equal(cleanPlace(place), "/", place);
    assert.equal(cleanPlace("/analyses/7?x=1"), "/analyses/7?x=1");
  });
});

describe("a token", () => {
  test("has no more rights than were given to it, and than its user has", async () => {
    await withServer({}, async ({ url, read, ask }) => {
      const { token } = await read<{ token: string }>("analyst", "/api/v1/tokens", jsonOf({ label: "t", scopes: ["read"] })); // prettier-ignore
      const use = async (path: string, init: RequestInit = {}) =>
        (await fetch(`${url}${path}`, { ...init, headers: { ...(init.headers as object), authorization: `Bearer ${token}` } })).status; // prettier-ignore
      assert.equal(await use("/api/v1/me"), 200);
      assert.equal(await use("/api/v1/analyses", { method: "POST", body: fileForm("a", "b") }), 403);
      // It makes no token that is stronger than itself.
      assert.equal(await use("/api/v1/tokens", jsonOf({ label: "t", scopes: ["submit"] })), 400);
      assert.equal(
        (await ask("analyst", "/api/v1/tokens", jsonOf({ label: "t", scopes: ["administer"] }))).status,
        400,
      );
      // The administrator's right is a right of the role, too.
      await ask("administrator", "/api/v1/users/analyst", jsonOf({ role: "reader" }, "PATCH"));
      assert.equal(
        (await ask("analyst", "/api/v1/analyses", { method: "POST", body: fileForm("a", "b") })).status,
        403,
      );
      await ask("administrator", "/api/v1/users/analyst", { method: "DELETE" });
      assert.equal(await use("/api/v1/me"), 401);
    });
  });

  test("is over at its time, is nowhere kept as it is, and is removed only by its user or an administrator", async () => {
    await withServer({}, async ({ lab, ask, read, tokens, url }) => {
      const database = openAccountDatabase(lab.folder);
      const own = new Tokens(database);
      const soon = own.add("reader", "soon", ["read"], new Date(Date.now() + 400).toISOString()).token;
      const status = async (token: string) => (await fetch(`${url}/api/v1/me`, { headers: { authorization: `Token ${token}` } })).status; // prettier-ignore
      assert.equal(await status(soon), 200);
      await sleep(500);
      assert.equal(await status(soon), 401);
      assert.equal(await status(`${tokens.reader.slice(0, -1)}_`), 401);
      const kept = JSON.stringify(database.prepare("SELECT * FROM tokens").all());
      for (const token of Object.values(tokens)) assert.ok(!kept.includes(token.slice(-43)));
      database.close();
      const list = await read<{ tokens: { id: string; user: string }[] }>("reader", "/api/v1/tokens");
      assert.ok(list.tokens.every(({ user }) => user === "reader"));
      const [, id] = /^rebox_(\w{12})_/.exec(tokens.analyst)!;
      assert.equal((await ask("reader", `/api/v1/tokens/${id}`, { method: "DELETE" })).status, 404);
      assert.equal((await ask("administrator", `/api/v1/tokens/${id}`, { method: "DELETE" })).status, 204);
      assert.equal(await status(tokens.analyst), 401);
    });
  });
});

describe("users", () => {
  test("are managed by administrators, of whom one always remains", async () => {
    await withServer({}, async ({ ask, read }) => {
      const add = (name: string, password = PASSWORD, role: Role = "analyst") => ask("administrator", "/api/v1/users", jsonOf({ name, role, password })); // prettier-ignore
      assert.equal((await add("max")).status, 201);
      for (const [name, password] of [
        ["max", PASSWORD],
        ["../x", PASSWORD],
        ["Max", PASSWORD],
        ["short", "tooshort"],
      ] as const)
        // prettier-ignore
        assert.equal((await add(name, password)).status, 400, name);
      assert.equal((await ask("administrator", "/api/v1/users/administrator", { method: "DELETE" })).status, 400);
      assert.equal((await ask("administrator", "/api/v1/users/administrator", jsonOf({ role: "reader" }, "PATCH"))).status, 400); // prettier-ignore
      assert.equal((await ask("administrator", "/api/v1/users/nobody", { method: "DELETE" })).status, 404);
      const { users } = await read<{ users: object[] }>("administrator", "/api/v1/users");
      assert.deepEqual(users.map((user) => Object.keys(user)).flat().filter((key) => !["name", "role", "created"].includes(key)), []); // prettier-ignore
      const rights: readonly Right[] = (await read<{ rights: Right[] }>("analyst", "/api/v1/me")).rights;
      assert.deepEqual(rights, ["read", "submit"]);
    });
  });
});

test("who asks too often has to wait, and learns how long", async () => {
  await withServer({ settings: { requestsPerMinute: 5 } }, async ({ ask }) => {
    for (let count = 0; count < 5; count++) assert.equal((await ask("reader", "/api/v1/me")).status, 200);
    const refused = await ask("reader", "/api/v1/me");
    assert.equal(refused.status, 429);
    assert.match(await refused.text(), /available in \d+ seconds/);
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    assert.equal((await ask("analyst", "/api/v1/me")).status, 200, "each user is counted alone");
  });
});
