import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { AgentWay } from "../../src/lab/ways/agent-way";
import type { GuestWay } from "../../src/lab/ways/guest-way";
import { inFolder } from "../kit/in-folder";
import { type AgentTraits, NEEDS_PYTHON, type StandInAgent, withAgent } from "../kit/lab/stand-in-agent";

const signal = new AbortController().signal;

function open(port: number, isPinned = false, limitMs = 10_000): Promise<AgentWay> {
  return AgentWay.open({ host: "127.0.0.1", port, isPinned }, limitMs, signal);
}

function withWay(traits: AgentTraits, use: (way: GuestWay, agent: StandInAgent) => Promise<void>): Promise<void> {
  return withAgent(traits, async (agent) => use(await open(agent.port), agent));
}

/** Agents of the versions that are in use, by how they differ. */
const VERSIONS: Readonly<Record<string, AgentTraits>> = {
  "CAPE 0.22": {},
  "CAPE 0.10": {
    ...{ version: "0.10", features: ["execpy", "pinning", "logs", "largefile", "unicodepath"] },
    ...{ isWatching: false, makesFolders: false },
  },
  "Cuckoo 0.10": {
    ...{ message: "Cuckoo Agent!", version: "0.10", features: ["execpy", "pinning", "logs", "largefile"] },
    ...{ isWatching: false, makesFolders: false },
  },
};

describe("an agent", { skip: NEEDS_PYTHON }, () => {
  for (const [name, traits] of Object.entries(VERSIONS)) {
    test(`of ${name} runs programs, and their status and output are known`, async () => {
      await withWay(traits, async (way) => {
        const shown = await way.runScript("echo out; echo err >&2; exit 42", signal);
        assert.deepEqual(shown, { status: 42, output: "out\nerr\n" });
        const args = ["it's", "$HOME `id` \\", "a\tb\nc", ""];
        const environment = { ODD: "'\"$x\n" };
        const program = { program: "printenv", args: ["ODD"], environment, folder: "/usr" };
        assert.deepEqual(await way.run(program, signal), { status: 0, output: "'\"$x\n\n" });
        const told = await way.run({ program: "sh", args: ["-c", 'pwd; printf "<%s>" "$@"', "-", ...args], folder: "/usr" }, signal); // prettier-ignore
        assert.equal(told.output, `/usr\n${args.map((each) => `<${each}>`).join("")}`);
        assert.deepEqual(await way.runScript("kill -9 $$", signal), { status: 137, output: "" });
        assert.equal((await way.run({ program: "/nonexistent" }, signal)).status, 127);
      });
    });
  }

  test("gets files as they are, whatever is in them, and gives them back", async () => {
    await inFolder(async (folder) => {
      await withWay({}, async (way) => {
        const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 256));
        const from = join(folder, "it's\r\n--odd");
        writeFileSync(from, bytes);
        const to = join(folder, "below/there");
        await way.put({ from, to, folder }, signal);
        const hash = (content: Buffer) => createHash("sha256").update(content).digest("hex");
        assert.equal(hash(readFileSync(to)), hash(bytes));
        assert.equal(hash(await way.readFile(to, signal)), hash(bytes));
        await assert.rejects(way.readFile(to, signal, 299_999), /has more than 299999 bytes/);
        await assert.rejects(way.readFile(join(folder, "none"), signal), /finds no such file/);
      });
    });
  });

  test("sets the guest's clock", async () => {
    await withWay({}, async (way, agent) => {
      await way.setClock(1_700_000_000_500, signal);
      assert.equal(agent.dates(), "-u -s @1700000000\n");
    });
  });

  test("is pinned when that is wanted, also when it was before", async () => {
    await withAgent({}, async (agent) => {
      await open(agent.port);
      assert.ok(!agent.requests.includes("GET /pinning"));
      for (let count = 0; count < 2; count++) await (await open(agent.port, true)).runScript("true", signal);
      assert.equal(agent.requests.filter((each) => each === "GET /pinning").length, 2);
    });
  });

  test("is waited for while its machine boots", async () => {
    let refused = 0;
    const intercept = (_method: string, path: string) => (path === "/" && refused++ < 2 ? "close" : undefined);
    await withWay({ intercept }, async (way) => {
      assert.equal((await way.runScript("exit 3", signal)).status, 3);
      assert.equal(refused, 3);
    });
  });
});

describe("what answers at an agent's address is refused with the reason", { skip: NEEDS_PYTHON }, () => {
  const odd: Readonly<Record<string, readonly [AgentTraits, RegExp]>> = {
    "another server": [
      { intercept: () => ({ status: 200, text: "<html>It works!</html>" }) },
      /127\.0\.0\.1:\d+ answers, but not as an agent of CAPE or Cuckoo: status 200, "<html>It works!<\/html>"; is agent_port right\?/,
    ],
    "an agent of Cuckoo 1": [
      { intercept: () => ({ status: 501, text: "Unsupported method ('GET')" }) },
      /the agent of Cuckoo 1 would answer so; use Cuckoo 2's or CAPE's/,
    ],
    "JSON that is none": [{ intercept: () => ({ status: 200, text: "null" }) }, /status 200, "null"/],
    "an agent without Python": [
      { version: "1.0", features: ["push"] },
      /\(CAPE Agent! 1\.0\) has not the feature execpy; it has push; use the agent\.py of CAPE, or of Cuckoo 2/,
    ],
    "an agent on Windows": [
      { system: "Windows" },
      /runs on Windows, and this needs a Linux; targets for Windows need a machine with the platform windows/,
    ],
  };
  for (const [name, [traits, message]] of Object.entries(odd)) {
    test(name, async () => {
      await withAgent(traits, async ({ port }) => {
        await assert.rejects(open(port), { code: "REBOX_WAY_IN", message });
      });
    });
  }

  test("nothing at all, and something that hangs", async () => {
    const server = createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
    const { port } = await new Promise<{ port: number }>((resolve) =>
      server.once("listening", () => resolve(server.address() as { port: number })),
    );
    await assert.rejects(open(port, false, 100), /does not answer GET \/: no answer within 5 s \(0\.1 s were waited/);
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(open(port, false, 100), { code: "REBOX_WAY_IN", message: /ECONNREFUSED/ });
  });

  test("a wait ends when its signal says so", async () => {
    await withAgent({ intercept: () => "silence" }, async ({ port }) => {
      const stop = AbortSignal.timeout(200);
      await assert.rejects(AgentWay.open({ host: "127.0.0.1", port, isPinned: false }, 60_000, stop), (error) => {
        return error === stop.reason;
      });
    });
  });
});

describe("an agent that was there", { skip: NEEDS_PYTHON }, () => {
  test("and is gone ends the wait for a script", async () => {
    await withWay({}, async (way, agent) => {
      const running = way.runScript("sleep 8", signal);
      setTimeout(() => agent.stop(), 500);
      try {
        await assert.rejects(running, { code: "REBOX_GUEST_GONE", message: /does not answer POST \/retrieve/ });
      } finally {
        agent.killProgram();
      }
    });
  });

  test("and misses some requests is asked again", async () => {
    let lost = 0;
    const intercept = (_method: string, path: string) => (path === "/retrieve" && lost++ < 3 ? "close" : undefined);
    await withWay({ intercept }, async (way) => {
      assert.equal((await way.runScript("exit 5", signal)).status, 5);
      assert.ok(lost > 3);
    });
  });

  test("and whose program was killed by the target says so", async () => {
    await withWay({}, async (way, agent) => {
      const running = way.runScript("sleep 2", signal);
      setTimeout(() => agent.killProgram(), 300);
      await assert.rejects(running, /the program that ran the script in the guest was ended, and has left nothing/);
    });
  });

  test("and gives nonsense for the end of a script is not believed", async () => {
    const intercept = (_method: string, path: string) =>
      path === "/retrieve" ? { status: 200, text: '{"status": "0", "output": 7}' } : undefined;
    await withWay({ intercept }, async (way) => {
      await assert.rejects(way.runScript("true", signal), /what the agent gives as the end of a script is none/);
    });
  });
});
