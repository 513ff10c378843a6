import assert from "node:assert/strict";
import { linkSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { ReboxMachinery } from "../../src/lab/machinery/drivers/rebox/rebox-machinery";
import { getMemoryFormat, quoteForShell } from "../../src/lab/machinery/drivers/qemu/memory-snapshot";
import type { QmpCommandError } from "../../src/lab/errors";
import { QmpClient } from "../../src/lab/machinery/drivers/qemu/qmp-client";
import { withSocketPath } from "../../src/lab/machinery/drivers/qemu/socket-path";
import {
  checkStartArguments,
  fillPlaceholders,
  readMachineInfo,
} from "../../src/lab/machinery/drivers/qemu/start-arguments";

const SIGNAL = new AbortController().signal;
const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

/** Serves one connection as the given function says: it gets each line that comes. */
async function withServer(
  serve: (socket: Socket, line: string) => void,
  use: (path: string) => Promise<void>,
  greeting = GREETING,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-qmp-"));
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.write(greeting);
    socket.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\n").filter(Boolean)) {
        const { execute, id } = JSON.parse(line) as { execute: string; id: number };
        if (execute === "qmp_capabilities") socket.write(`{"return": {}, "id": ${id}}\r\n`);
        else serve(socket, line);
      }
    });
  });
  const path = join(folder, "qmp.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    await use(path);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const idOf = (line: string) => (JSON.parse(line) as { id: number }).id;

describe("QMP", () => {
  test("what was meant for the connection before is no greeting, and nothing of this one", async () => {
    const serve = (socket: Socket, line: string) => socket.write(`{"return": 5, "id": ${idOf(line)}}\r\n`);
    const rest = '{"return": 4, "id": 1}\r\n{"event": "STOP", "data": {}}\r\n';
    await withServer(
      serve,
      async (path) => {
        const client = await QmpClient.connect(path, 5000, SIGNAL);
        const events: string[] = [];
        client.on("event", (name) => events.push(name));
        assert.equal(await client.execute("query-status", {}, 5000, SIGNAL), 5);
        assert.deepEqual(events, []);
        client.close();
      },
      `${rest}${GREETING}`,
    );
  });

  test("an empty answer is an answer, and one in pieces with events between is one too", async () => {
    const serve = (socket: Socket, line: string) => {
      const answer = `{"event": "RESUME", "data": {"a": 1}}\r\n{"return": {}, "id": ${idOf(line)}}\r\n`;
      socket.write(answer.slice(0, 30));
      setImmediate(() => socket.write(answer.slice(30)));
    };
    await withServer(serve, async (path) => {
      const client = await QmpClient.connect(path, 5000, SIGNAL);
      const events: unknown[] = [];
      client.on("event", (name, data) => events.push([name, data]));
      assert.deepEqual(await client.execute("cont", {}, 5000, SIGNAL), {});
      assert.deepEqual(events, [["RESUME", { a: 1 }]]);
      client.close();
    });
  });

  test("answers that come in one packet, in another order, find who asked", async () => {
    const lines: string[] = [];
    const serve = (socket: Socket, line: string) => {
      lines.push(line);
      if (lines.length < 2) return;
      socket.write(
        lines
          .toReversed()
          .map((each) => `{"return": "to ${idOf(each)}", "id": ${idOf(each)}}\n`)
          .join(""),
      );
    };
    await withServer(serve, async (path) => {
      const client = await QmpClient.connect(path, 5000, SIGNAL);
      const both = [client.execute("a", {}, 5000, SIGNAL), client.execute("b", {}, 5000, SIGNAL)];
      assert.deepEqual(await Promise.all(both), ["to 2", "to 3"]);
      client.close();
    });
  });

  test("an error is thrown at once, with QEMU's class and description", async () => {
    const serve = (socket: Socket, line: string) =>
      void socket.write(`{"error": {"class": "CommandNotFound", "desc": "no such"}, "id": ${idOf(line)}}\r\n`);
    await withServer(serve, async (path) => {
      const client = await QmpClient.connect(path, 5000, SIGNAL);
      await assert.rejects(client.execute("x", {}, 60_000, SIGNAL), (error: QmpCommandError) => {
        assert.deepEqual([error.errorClass, error.description], ["CommandNotFound", "no such"]);
        return true;
      });
      client.close();
    });
  });

  test("a connection that is closed within an answer, a silent one, and a cancelled one fail what waits", async () => {
    const serve = (socket: Socket, line: string) => {
      if (line.includes("die")) socket.end('{"return": {');
    };
    await withServer(serve, async (path) => {
      const first = await QmpClient.connect(path, 5000, SIGNAL);
      await assert.rejects(first.execute("die", {}, 60_000, SIGNAL), /QEMU has closed QMP's connection/);
      const second = await QmpClient.connect(path, 5000, SIGNAL);
      await assert.rejects(second.execute("sleep", {}, 30, SIGNAL), /no answer to sleep within 0.03 s/);
      await assert.rejects(second.execute("cont", {}, 30, SIGNAL), /no answer to sleep/, "it is of no use any more");
      const third = await QmpClient.connect(path, 5000, SIGNAL);
      const controller = new AbortController();
      const waiting = third.execute("sleep", {}, 60_000, controller.signal);
      controller.abort();
      await assert.rejects(waiting, /sleep was cancelled/);
    });
  });

  test("who does not greet as QMP does, says nothing, or is not there at all, is reported", async () => {
    const none = () => undefined;
    await withServer(
      none,
      (path) => assert.rejects(QmpClient.connect(path, 5000, SIGNAL), /does not greet/),
      '{"hello": 1}\n',
    );
    await withServer(
      none,
      (path) => assert.rejects(QmpClient.connect(path, 5000, SIGNAL), /this is not QMP: "SSH-2.0"/),
      "SSH-2.0\n",
    );
    await withServer(none, (path) => assert.rejects(QmpClient.connect(path, 30, SIGNAL), /no answer to greeting/), "");
    const folder = mkdtempSync(join(tmpdir(), "rebox-qmp-"));
    await assert.rejects(QmpClient.connect(join(folder, "gone"), 5000, SIGNAL), /QMP's connection broke: .*ENOENT/);
    // A socket whose owner was killed.
    const stale = join(folder, "stale");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(stale, resolve));
    linkSync(stale, join(folder, "left"));
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(QmpClient.connect(join(folder, "left"), 5000, SIGNAL), /ECONNREFUSED/);
    rmSync(folder, { recursive: true });
  });

  test("a socket deep in folders is reached", async () => {
    await withServer(
      () => undefined,
      async (path) => {
        const deep = `${path.slice(0, -"/qmp.sock".length)}${"/.".repeat(60)}/qmp.sock`;
        assert.ok(deep.length > 107);
        await withSocketPath(deep, async (short) => (await QmpClient.connect(short, 5000, SIGNAL)).close());
      },
    );
  });
});

test("what a script printed last is no reason why its machine is off; what rebox itself says is", () => {
  class Read extends ReboxMachinery {
    of = (output: string) => this.findReason(output);
  }
  const { of } = new Read();
  assert.equal(of("process_tree: 12 processes\nbye"), undefined);
  assert.equal(of("rebox: it is late\nrebox: QEMU ended: no memory\nbye"), "QEMU ended: no memory");
  assert.equal(of(""), undefined);
});

describe("start arguments", () => {
  test("each that the machinery gives itself is refused, also with two dashes", () => {
    const disk = ["-drive", "file=%DISPOSABLE_DISK_PATH%"];
    assert.deepEqual(checkStartArguments(disk, "x", true), disk);
    for (const name of ["incoming", "monitor", "qmp", "loadvm", "no-shutdown", "qmp-pretty", "snapshot"]) {
      assert.throws(
        () => checkStartArguments([...disk, `-${name}`], "x", true),
        new RegExp(`x: .*must not have -${name}:`),
      );
      assert.throws(() => checkStartArguments([...disk, `--${name}`], "x", true), /must not have --/);
    }
    assert.throws(
      () => checkStartArguments(["/usr/bin/qemu-system-x86_64", ...disk], "x", true),
      /leave the program out/,
    );
    assert.throws(() => checkStartArguments(["-m", "1G"], "x", true), /no start argument has %DISPOSABLE_DISK_PATH%/);
    for (const wrong of ["-m 1G", { 0: "-m" }, [true], null]) {
      assert.throws(() => checkStartArguments(wrong, "x", true), /must be a list of texts/);
    }
  });

  test("a placeholder without a value is an error that names those that have one", () => {
    assert.deepEqual(fillPlaceholders(["a=%X%,b=50%"], { X: "%Y%" }), ["a=%Y%,b=50%"], "values are not looked into");
    assert.throws(() => fillPlaceholders(["%NOPE%"], { X: "1" }), /%NOPE% has no value; known: %X%/);
  });

  test("a machineinfo.json that is none is reported with its file", () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-info-"));
    const file = join(folder, "machineinfo.json");
    writeFileSync(file, "{");
    assert.throws(() => readMachineInfo(file), /machineinfo.json: .*JSON/);
    writeFileSync(file, "{}");
    assert.throws(() => readMachineInfo(file), /must be a list of texts/);
    rmSync(folder, { recursive: true });
  });
});

test("how a memory snapshot is packed is seen by its first bytes", () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-memory-"));
  const file = join(folder, "memory");
  const formats = { "04224d18": "lz4", "1f8b0800": "gzip", "5145564d": "none" };
  for (const [magic, name] of Object.entries(formats)) {
    writeFileSync(file, Buffer.from(`${magic}00`, "hex"));
    assert.equal(getMemoryFormat(file).name, name);
  }
  writeFileSync(file, "hello");
  assert.throws(() => getMemoryFormat(file), /is no memory snapshot: .*begins with 68656c6c/);
  assert.throws(() => getMemoryFormat(join(folder, "gone")), /cannot be read: ENOENT/);
  rmSync(folder, { recursive: true });
  assert.equal(quoteForShell("it's $(x)"), `'it'\\''s $(x)'`);
});
