import assert from "node:assert/strict";
import crypto from "node:crypto";
import { describe, mock, test } from "node:test";
import { openAccountDatabase } from "../../src/server/accounts/account-database";
import { Sessions } from "../../src/server/accounts/sessions";
import { Tokens } from "../../src/server/accounts/tokens";
import { Users } from "../../src/server/accounts/users";
import { ReportTickets } from "../../src/server/results/report-tickets";
import { inFolder } from "../kit/in-folder";
import { fileForm, PASSWORD, withServer } from "../kit/server/test-server";

/** A comparison of secrets: how many bytes were compared, and whether they were the same. */
interface Comparison {
  readonly length: number;
  readonly isSame: boolean;
}

/** Lists the comparisons in constant time that something makes. */
async function compareIn(act: () => unknown): Promise<Comparison[]> {
  const made: Comparison[] = [];
  const compare = crypto.timingSafeEqual;
  const mocked = mock.method(crypto, "timingSafeEqual", (one: Uint8Array, other: Uint8Array) => {
    const isSame = compare(one, other);
    made.push({ length: one.byteLength, isSame });
    return isSame;
  });
  try {
    await act();
  } finally {
    mocked.mock.restore();
  }
  return made;
}

/** Changes one character of a text. */
function change(text: string, at: number): string {
  const place = at < 0 ? text.length + at : at;
  return `${text.slice(0, place)}${text[place] === "A" ? "B" : "A"}${text.slice(place + 1)}`;
}

/** Of a SHA-256 in hexadecimal. */
const HASH_LENGTH = 64;

describe("how long an answer takes", () => {
  test("tells nothing about a token: one comparison of hashes in constant time, whichever character is wrong, and whether or not there is such a token", async () => {
    await inFolder(async (folder) => {
      const database = openAccountDatabase(folder);
      const tokens = new Tokens(database);
      const { token } = tokens.add("anna", "test", ["read"], undefined);
      const secretAt = token.length - 43;
      const unknown = change(token, "rebox_".length).replace(/^rebox_[AB]/, "rebox_0");
      const cases = [
        ["right", token, true],
        ["wrong at the first character", change(token, secretAt), false],
        ["wrong at the last character", change(token, -1), false],
        ["of an id that there is not", unknown === token ? token.replace(/^rebox_0/, "rebox_1") : unknown, false],
      ] as const;
      for (const [name, text, isSame] of cases) {
        const made = await compareIn(() => assert.equal(tokens.check(text) !== undefined, isSame, name));
        assert.deepEqual(made, [{ length: HASH_LENGTH, isSame }], name);
      }
      database.close();
    });
  });

  test("tells nothing about users: a password is derived by the same cost for one that there is not", async () => {
    await inFolder(async (folder) => {
      const database = openAccountDatabase(folder);
      const users = new Users(database);
      await users.add("anna", "reader", PASSWORD);
      const costs: unknown[] = [];
      const derive = crypto.scrypt as (...args: unknown[]) => void;
      const mocked = mock.method(crypto, "scrypt", (...args: unknown[]) => {
        const { N, r, p } = args[3] as { N: number; r: number; p: number };
        costs.push([N, r, p, args[2]]);
        return derive(...args);
      });
      try {
        for (const [name, password, isIn] of [
          ["anna", PASSWORD, true],
          ["anna", "wrong", false],
          ["nobody", PASSWORD, false],
        ] as const) {
          // prettier-ignore
          const made = await compareIn(async () => assert.equal((await users.signIn(name, password)) !== undefined, isIn));
          assert.deepEqual(made.map(({ length }) => length), [32], name); // prettier-ignore
        }
      } finally {
        mocked.mock.restore();
      }
      assert.equal(costs.length, 3);
      assert.deepEqual(new Set(costs.map((cost) => JSON.stringify(cost))).size, 1, JSON.stringify(costs));
      database.close();
    });
  });

  test("tells nothing about a session: it is found by the hash of its secret, which nobody can choose", async () => {
    await inFolder(async (folder) => {
      const database = openAccountDatabase(folder);
      const sessions = new Sessions(database);
      const secret = sessions.begin("anna");
      const kept = JSON.stringify(database.prepare("SELECT * FROM sessions").all());
      assert.ok(!kept.includes(secret));
      assert.ok(kept.includes(crypto.createHash("sha256").update(secret).digest("hex")));
      assert.equal(sessions.find(secret)!.user, "anna");
      for (const at of [0, -1]) assert.equal(sessions.find(change(secret, at)), undefined);
      database.close();
    });
  });

  test("tells nothing about the word of a form, or a ticket of a report", async () => {
    const tickets = new ReportTickets();
    const ticket = tickets.make(7);
    for (const [text, isRight] of [
      [ticket, true],
      [change(ticket, -2), false],
      [change(ticket, ticket.indexOf(".") + 1), false],
    ] as const) {
      // prettier-ignore
      const made = await compareIn(() => assert.equal(tickets.check(7, text), isRight));
      assert.deepEqual(made, [{ length: 32, isSame: isRight }]);
    }
    await withServer({}, async (server) => {
      const { cookie, csrf } = await server.signIn("analyst");
      for (const [word, isRight] of [
        [csrf, true],
        [change(csrf, 0), false],
        [change(csrf, -1), false],
      ] as const) {
        const body = fileForm("a", "b", { csrf: word });
        const made = await compareIn(() => fetch(`${server.url}/submit`, { method: "POST", headers: { cookie }, body, redirect: "manual" })); // prettier-ignore
        assert.deepEqual(made, [{ length: csrf.length, isSame: isRight }]);
      }
    });
  });
});
