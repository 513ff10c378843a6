import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { delimiter, join } from "node:path";
import { describe, test } from "node:test";
import { callGuestAgent } from "../../src/lab/machinery/drivers/qemu/guest-agent-socket";
import { makeGuestDisc } from "../../src/lab/ways/guest-disc";
import { GuestAgentWay } from "../../src/lab/ways/guest-agent-way";
import { inFolder } from "../kit/in-folder";
import { untilTrue } from "../kit/lab/lab-run";

const AGENT = "qemu-ga";
/** Of the agent itself, on this host in the place of a guest. */
const NEEDS_AGENT = spawnSync(AGENT, ["--version"]).error === undefined ? false : "there is no qemu-ga";
const signal = new AbortController().signal;

function open(socket: string, limitMs = 10_000): Promise<GuestAgentWay> {
  return GuestAgentWay.open((...args) => callGuestAgent(socket, ...args), limitMs, signal);
}

/** Runs QEMU's own agent on this host; it may not set the clock, and finds a `date` that does not either. */
async function withAgent(use: (way: GuestAgentWay, folder: string) => Promise<void>, blocked = ""): Promise<void> {
  await inFolder(async (folder) => {
    const socket = join(folder, "agent.sock");
    writeFileSync(join(folder, "date"), `#!/bin/sh\necho "$*" >> ${folder}/dates\n`, { mode: 0o755 });
    const args = ["-m", "unix-listen", "-p", socket, "-t", folder, "-f", join(folder, "pid"), "-b"];
    const agent: ChildProcess = spawn(AGENT, [...args, `guest-set-time${blocked}`], {
      stdio: "ignore",
      env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH ?? ""}` },
    });
    try {
      await untilTrue(() => existsSync(socket));
      await use(await open(socket), folder);
    } finally {
      const ended = once(agent, "exit");
      agent.kill("SIGKILL");
      await ended;
    }
  });
}

/** Listens in the place of QEMU's end of the agent's port. */
async function withPort(answer: (socket: Socket) => void, use: (path: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const path = join(folder, "agent.sock");
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on("error", () => socket.destroy()));
      answer(socket);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      await use(path);
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });
}

describe("QEMU's guest agent", { skip: NEEDS_AGENT }, () => {
  test("runs programs with arguments, environment and folder, and tells status and output", async () => {
    await withAgent(async (way) => {
      assert.deepEqual(await way.runScript("echo out; echo err >&2; exit 42", signal), {
        ...{ status: 42, output: "out\nerr\n" },
      });
      const args = ["-c", 'pwd; printf "<%s>" "$ODD" "$@"', "-", "it's", "$HOME `id` \\", "a\tb\nc", ""];
      const program = { program: "sh", args, environment: { ODD: "'\"$x" }, folder: "/usr" };
      assert.deepEqual(await way.run(program, signal), {
        ...{ status: 0, output: `/usr\n<'"$x><it's><$HOME \`id\` \\><a\tb\nc><>` },
      });
      assert.equal((await way.runScript("kill -9 $$", signal)).status, 137);
    });
  });

  test("gets files as they are, and gives them back", async () => {
    await withAgent(async (way, folder) => {
      const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 256));
      const from = join(folder, "it's odd");
      writeFileSync(from, bytes);
      await way.put({ from, to: join(folder, "below/there"), folder }, signal);
      assert.ok(readFileSync(join(folder, "below/there")).equals(bytes));
      assert.ok((await way.readFile(from, signal)).equals(bytes));
      await assert.rejects(way.readFile(from, signal, 299_999), /has more than 299999 bytes/);
      await assert.rejects(way.readFile(join(folder, "none"), signal), /refuses guest-file-open: .*No such file/);
    });
  });

  test("prepares the guest for a target: clock, look and file, however large", async () => {
    await withAgent(async (way, folder) => {
      for (const size of [10, 200_000]) {
        const from = join(folder, "it's odd");
        writeFileSync(from, "x".repeat(size), { mode: 0o600 });
        const disc = await makeGuestDisc(from, folder, signal);
        const parts = { getTimeMs: () => 1_700_000_000_500, look: "cat; echo seen >&2; exit 24" };
        assert.equal(await way.prepare({ ...parts, disc }, signal), 24);
        const there = join("/tmp", disc.folder);
        assert.deepEqual(readdirSync(there), ["it_s_odd"]);
        assert.equal(readFileSync(join(there, "it_s_odd"), "utf8"), "x".repeat(size));
        assert.equal(statSync(join(there, "it_s_odd")).mode & 0o777, 0o755);
        assert.equal(existsSync(`${there}.tar`), false);
        rmSync(there, { recursive: true });
      }
      assert.equal(readFileSync(join(folder, "dates"), "utf8"), "-u -s @1700000000\n".repeat(2));
      const broken = { path: join(folder, "dates"), folder: "none", name: "dates", source: join(folder, "dates") };
      const asked = way.prepare({ getTimeMs: () => 0, look: undefined, disc: broken }, signal);
      await assert.rejects(asked, { code: "REBOX_WAY_IN", message: /cannot unpack dates in \/tmp: .*tar/s });
    });
  });

  test("that may not set the clock leaves it to date", async () => {
    await withAgent(async (way, folder) => {
      await way.setClock(1_700_000_000_500, signal);
      assert.equal(readFileSync(join(folder, "dates"), "utf8"), "-u -s @1700000000\n");
    });
  });

  test("whose configuration forbids programs is refused with what must be allowed", async () => {
    await assert.rejects(
      withAgent(() => Promise.resolve(), ",guest-exec,guest-file-open"),
      {
        code: "REBOX_WAY_IN",
        message: /does not allow guest-exec, guest-file-open: its configuration \(\/etc\/qemu\/qemu-ga\.conf/,
      },
    );
  });
});

describe("a port for QEMU's guest agent", () => {
  test("that nobody serves is given up in the end", async () => {
    await withPort(
      () => {},
      async (path) => {
        await assert.rejects(open(path, 100), {
          code: "REBOX_WAY_IN",
          message: /did not answer within 0\.1 s: .*no answer to guest-info within 2 s/,
        });
      },
    );
  });

  test("whose machine is gone, and a wait that is cancelled", async () => {
    await inFolder(async (folder) => {
      const ask = callGuestAgent(join(folder, "none"), "guest-ping", {}, 1_000, signal);
      await assert.rejects(ask, { code: "REBOX_MACHINERY_CONNECTION", message: /ENOENT/ });
    });
    await withPort(
      () => {},
      async (path) => {
        const stop = AbortSignal.timeout(100);
        await assert.rejects(callGuestAgent(path, "guest-ping", {}, 60_000, stop), /guest-ping was cancelled/);
      },
    );
  });

  test("answers that belong to nobody, cut lines and noise are not taken for the answer", async () => {
    const serve = (socket: Socket) => {
      let text = "";
      socket.on("data", (bytes) => {
        text += bytes.toString("latin1");
        const sync = /"id":(\d+)/.exec(text)?.[1];
        if (sync === undefined || !text.includes("guest-ping")) return;
        socket.write(`{"return": 7}\n{"ret\n\xff\xffnoise\n[]\nnull\n`, "latin1");
        socket.write(`\xff{"return": ${sync}`, "latin1");
        setTimeout(() => socket.write('}\n{"return": {"answer": 42}}\n{"return": 43}\n'), 20);
      });
    };
    await withPort(serve, async (path) => {
      assert.deepEqual(await callGuestAgent(path, "guest-ping", {}, 5_000, signal), { answer: 42 });
    });
  });

  test("a guest that writes without end is cut off", async () => {
    const flood = (socket: Socket) => {
      const bytes = Buffer.alloc(1 << 20, 0x20);
      const more = () => socket.writable && socket.write(bytes, more);
      more();
    };
    await withPort(flood, async (path) => {
      await assert.rejects(callGuestAgent(path, "guest-ping", {}, 60_000, signal), /an answer without an end/);
    });
  });
});
