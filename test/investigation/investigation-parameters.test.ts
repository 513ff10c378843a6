import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { UsageShown } from "../../src/doors/investigation";
import { formatDuration, parseDuration } from "../../src/investigation/go-duration";
import type { InvestigationContext, Vantage, InvestigationRun } from "../../src/investigation/module";
import { decodeResult, type InvestigationResult } from "../../src/investigation/result";
import { loadModule } from "../kit/investigations/investigation-modules";
import { PROJECT } from "../kit/project";

const MODULES = join(PROJECT, "modules/investigation");

/** A context without a guest, or with what a test takes for one. */
function createContext(vantage: Vantage = "host", guest?: object): InvestigationContext {
  return {
    vantage,
    signal: new AbortController().signal,
    pausedMs: 0,
    timeoutMs: 60_000,
    folder: undefined,
    getGuest: () => {
      if (!guest) throw new Error("there is no guest");
      return guest as never;
    },
    atOneMoment: (look) => look(),
    whilePaused: async (look) => look(),
    turn: async () => undefined,
    log: () => undefined,
    alert: () => undefined,
  };
}

async function createRun(name: string, context = createContext()): Promise<InvestigationRun> {
  return (await loadModule(MODULES, name)).newRun!(context);
}

async function ask(
  name: string,
  parameters: unknown,
  context?: InvestigationContext,
): Promise<InvestigationResult & { elements: never; lines: string[] }> {
  const run = await createRun(name, context);
  const input = (async function* () {
    yield `${JSON.stringify({ class: "parameters", parameters })}\n`;
  })();
  const result = decodeResult(await run.run(input));
  return { ...result, elements: result.elements as never, lines: run.printResults!(result, false) };
}

/** What is wrong with parameters; "there is no guest" when nothing is. */
async function check(name: string, parameters: unknown): Promise<string> {
  const { success, errors } = await ask(name, parameters);
  assert.equal(success, false);
  assert.equal(errors?.length, 1, JSON.stringify(errors));
  return errors[0]!;
}

test("durations are read and written as Go does", () => {
  const cases: [string, number, string][] = [
    ["5s", 5e9, "5s"],
    ["1h15m30.918s", 4530.918e9, "1h15m30.918s"],
    ["-1.5h", -5400e9, "-1h30m0s"],
    ["250ms", 250e6, "250ms"],
    ["1us", 1e3, "1µs"],
    ["12ns", 12, "12ns"],
    [".5s", 0.5e9, "500ms"],
    ["0", 0, "0s"],
    ["1m0s", 60e9, "1m0s"],
  ];
  for (const [text, ns, written] of cases) {
    assert.equal(parseDuration(text), ns, text);
    assert.equal(formatDuration(ns), written);
  }
  for (const text of ["", "5", "s", "5 s", "5sec", "1h30", "--5s", "5s,", "1e3s", "9999999999h"]) {
    assert.throws(() => parseDuration(text), RangeError, text);
  }
});

describe("parameters of netstat", () => {
  test("right ones reach the guest", async () => {
    const parameters = {
      localmac: ["^52:"],
      localip: ["10.0.0.0/8", "::1", "2001:db8::/32"],
      listeningport: ["1", "65535"],
    };
    assert.equal(await check("netstat", parameters), "there is no guest");
  });

  test("wrong ports, networks and expressions are told", async () => {
    for (const port of ["0", "-1", "65536"])
      assert.match(await check("netstat", { listeningport: [port] }), /out of range/);
    for (const port of ["80a", "", " 80", "0x50"])
      assert.match(await check("netstat", { listeningport: [port] }), /not a valid port/);
    for (const network of [
      "10.0.0.0/33",
      "::/129",
      "10.0.0.1/",
      "1.2.3",
      "host",
      "",
      "/8",
      "fe80::1%eth0",
      "10.0.0.0/8/8",
    ]) {
      for (const key of ["localip", "neighborip", "connectedip"]) {
        assert.match(await check("netstat", { [key]: [network] }), /must be an IP or a CIDR/, network);
      }
    }
    for (const key of ["localmac", "neighbormac"])
      assert.match(await check("netstat", { [key]: ["["] }), /no regular expression/);
    assert.match(await check("netstat", { localmack: ["a"] }), /do you mean "localmac"/);
    assert.match(await check("netstat", { listeningport: "80" }), /listeningport/);
    assert.match(await check("netstat", {}), /nothing is looked for/);
    assert.match(await check("netstat", { listeningport: ["1-65535"] }), /listening asks for all/);
    assert.equal(await check("netstat", { listening: true }), "there is no guest");
  });

  test("flags become parameters, and may be repeated", async () => {
    const run = await createRun("netstat");
    assert.deepEqual(
      run.paramsParser!([
        "-lp",
        "80",
        "-lp=443",
        "-ci",
        "10.0.0.0/8",
        "-lm",
        "a",
        "-nm",
        "b",
        "-li",
        "::1",
        "-ni",
        "1.2.3.4",
        "-namespaces",
      ]),
      {
        ...{
          localmac: ["a"],
          neighbormac: ["b"],
          localip: ["::1"],
          neighborip: ["1.2.3.4"],
          connectedip: ["10.0.0.0/8"],
        },
        ...{ listeningport: ["80", "443"], listening: false, namespaces: true },
      },
    );
    assert.throws(() => run.paramsParser!(["help"]), UsageShown);
    assert.throws(() => run.paramsParser!(["-lp", "0"]), /out of range/);
    assert.throws(() => run.paramsParser!(["-port", "1"]), /no flag/);
  });
});

test("parameters of memory: labels, expressions and bytes", async () => {
  const right = [
    { s1: { names: ["foo"], libraries: ["bar"], bytes: ["abcd"] } },
    { s1: { libraries: ["^[a-z]{10,50}$"] } },
    { s1: { bytes: ["dead", "beef"] } },
    { s1: { contents: ["^(.+)[a-zA-Z0-9]{10.50}$"] } },
    { __proto__x: { names: ["a"], options: { matchall: true, offset: 4096, maxlength: 10, logfailures: true } } },
  ];
  for (const searches of right) assert.equal(await check("memory", { searches }), "there is no guest");
  const wrong: [unknown, RegExp][] = [
    [{ "*&^!*@&#^*!": { names: ["foo"] } }, /label/],
    [{ "": { names: ["foo"] } }, /label/],
    [{ ["a".repeat(65)]: { names: ["foo"] } }, /label/],
    [{ "a b": { names: ["foo"] } }, /label/],
    [{ s1: { names: ["["] } }, /no regular expression/],
    [{ s1: { libraries: ["["] } }, /no regular expression/],
    [{ s1: { bytes: ["zzzzzzzz"] } }, /are no bytes/],
    [{ s1: { bytes: ["0xab"] } }, /are no bytes/],
    [{ s1: { contents: ["^$", "["] } }, /matches nothing at all|no regular expression/],
    [{ s1: { contents: [""] } }, /empty/],
    [{ s1: { names: [""] } }, /empty/],
    [{ s1: {} }, /looks for nothing/],
    [{}, /searches is empty/],
    [{ s1: { names: ["a"], options: { matchal: true } } }, /matchall/],
    [{ s1: { names: ["a"], options: { offset: -1 } } }, /offset/],
  ];
  for (const [searches, pattern] of wrong) assert.match(await check("memory", { searches }), pattern);
});

test("flags of memory: all conditions by default, any when that is asked for", async () => {
  const run = await createRun("memory");
  const all = run.paramsParser!([
    "-name",
    "sshd",
    "-bytes",
    "00ff",
    "-bytes",
    "11",
    "-lib",
    "a",
    "-content",
    "b",
    "-maxlength",
    "10",
  ]);
  const options = { offset: 0, maxlength: 10, logfailures: false, matchall: true };
  const lists = { names: ["sshd"], libraries: ["a"], contents: ["b"], bytes: ["00ff", "11"] };
  assert.deepEqual(all, { searches: { s1: { ...lists, options } } });
  const any = (await createRun("memory")).paramsParser!(["-name", "a", "-matchany"]) as {
    searches: { s1: { options: object } };
  };
  assert.deepEqual(any.searches.s1.options, { ...options, maxlength: 0, matchall: false });
  assert.throws(() => run.paramsParser!(["-matchall", "-matchany"]), /exclude/);
});

describe("timedrift", () => {
  const at = (offMs: number): InvestigationContext =>
    createContext("engine", { clock: { realTimeNs: BigInt(Date.now() + offMs) * 1_000_000n } });

  test("without drift the guest's time is told, and something was found", async () => {
    const answer = await ask("timedrift", {}, at(0));
    assert.deepEqual([answer.success, answer.foundanything], [true, true]);
    const { localtime, hascheckeddrift } = answer.elements as { localtime: string; hascheckeddrift: boolean };
    assert.ok(Math.abs(Date.parse(localtime) - Date.now()) < 10_000);
    assert.equal(hascheckeddrift, false);
  });

  test("within the drift nothing is found; beyond it how far the clock is ahead or behind", async () => {
    const within = await ask("timedrift", { drift: "1h" }, at(60_000));
    assert.equal(within.foundanything, false);
    assert.equal((within.elements as { iswithindrift: boolean }).iswithindrift, true);
    for (const [offMs, pattern] of [
      [7200e3, /ahead of the host's by (2h0m|1h59m5\d)/],
      [-7200e3, /behind the host's by 2h0m\d/],
    ] as const) {
      const { foundanything, elements, lines } = await ask("timedrift", { drift: "1h" }, at(offMs));
      assert.equal(foundanything, true);
      assert.match((elements as { drifts: string[] }).drifts.join(), pattern);
      assert.ok(
        lines.some((line) => pattern.test(line)),
        lines.join("\n"),
      );
    }
  });

  test("a wrong duration, and an image, which has nothing to compare with, are told", async () => {
    for (const drift of ["5", "five", "-5s"]) assert.match(await check("timedrift", { drift }), /duration|negative/);
    const image = await ask("timedrift", { drift: "1s" }, createContext("image", { clock: { realTimeNs: 0n } }));
    assert.equal(image.success, false);
    assert.match(image.errors![0]!, /memory image/);
  });

  test("asks for the drift until it is one", async () => {
    const answers = ["help", "soon", "5s"];
    const told: string[] = [];
    const run = await createRun("timedrift");
    const prompt = { ask: async () => answers.shift(), tell: (text: string) => void told.push(text) };
    assert.deepEqual(await run.paramsCreator!(prompt), { drift: "5s" });
    assert.match(told.join("\n"), /-drift DURATION[^]*'soon' is no duration/);
    await assert.rejects(async () => run.paramsCreator!(prompt), UsageShown);
  });
});

describe("ping", () => {
  test("wrong parameters are told", async () => {
    const right = { destination: "127.0.0.1", protocol: "tcp" };
    const wrong: [object, RegExp][] = [
      [{ protocol: "sctp" }, /protocol/],
      [{ destinationport: 0 }, /destinationport/],
      [{ destinationport: 65536 }, /destinationport/],
      [{ destinationport: 80.5 }, /destinationport/],
      [{ protocol: "icmp", destinationport: 80 }, /icmp knows no ports/],
      [{ destination: "-f" }, /neither a name nor an address/],
      [{ destination: "a b" }, /neither a name nor an address/],
      [{ destination: "" }, /destination/],
      [{ vantage: "guest" }, /vantage/],
      [{ count: -1 }, /count/],
    ];
    for (const [change, pattern] of wrong) assert.match(await check("ping", { ...right, ...change }), pattern);
    assert.match(await check("ping", { ...right, destination: "no-such-host.invalid" }), /has no address/);
  });

  test("tcp: a port that accepts, and one that refuses", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const parameters = { destination: "127.0.0.1", destinationport: port, protocol: "tcp", count: 2 };
    const open = await ask("ping", parameters);
    const elements = open.elements as { latencies: number[]; resolvedhost: string; vantage: string };
    assert.equal(open.foundanything, true);
    assert.equal(elements.latencies.length, 2);
    assert.ok(elements.latencies.every((latency) => latency > 0 && latency < 9999999));
    assert.deepEqual([elements.resolvedhost, elements.vantage], [`127.0.0.1:${port} (127.0.0.1)`, "host"]);
    await new Promise((resolve) => server.close(resolve));
    const closed = await ask("ping", { ...parameters, count: 0 });
    assert.equal(closed.foundanything, false);
    assert.deepEqual((closed.elements as { latencies: number[] }).latencies, [-1, -1, -1]);
    assert.ok(closed.lines.includes("ping #3 was refused"), closed.lines.join("\n"));
  });

  test("udp: an answer, silence, and a refusal", async () => {
    const server = createSocket("udp4");
    await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
    const parameters = {
      destination: "127.0.0.1",
      destinationport: server.address().port,
      protocol: "udp",
      count: 1,
      timeout: 1,
    };
    const silent = await ask("ping", parameters);
    assert.deepEqual((silent.elements as { latencies: number[] }).latencies, [9999999]);
    assert.equal(silent.foundanything, true);
    assert.ok(silent.lines.some((line) => /may have succeeded/.test(line)));
    server.on("message", (_, { port, address }) => server.send("pong", port, address));
    const answered = await ask("ping", { ...parameters, timeout: 30 });
    assert.ok((answered.elements as { latencies: number[] }).latencies[0]! < 9999999);
    await new Promise<void>((resolve) => server.close(resolve));
    const refused = await ask("ping", parameters);
    assert.deepEqual((refused.elements as { latencies: number[] }).latencies, [-1]);
    assert.equal(refused.foundanything, false);
  });

  test("icmp: what the program ping says, and what to do when it is missing", async () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-ping-"));
    const path = process.env.PATH;
    const answer = async (program: string | undefined): Promise<InvestigationResult> => {
      if (program !== undefined) {
        writeFileSync(join(folder, "ping"), `#!/bin/sh\n${program}\n`);
        chmodSync(join(folder, "ping"), 0o755);
      } else rmSync(join(folder, "ping"));
      process.env.PATH = folder;
      try {
        return await ask("ping", { destination: "127.0.0.1", protocol: "icmp", count: 1 });
      } finally {
        process.env.PATH = path;
      }
    };
    try {
      const outcome = async (program: string | undefined) => {
        const { foundanything, elements } = await answer(program);
        return [foundanything, (elements as { latencies: number[] }).latencies[0]];
      };
      assert.deepEqual(await outcome("echo '64 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.042 ms'"), [true, 0.042]);
      assert.deepEqual(await outcome("echo 'From 10.0.0.1 icmp_seq=1 Destination Host Unreachable'; exit 1"), [
        false,
        -1,
      ]);
      assert.deepEqual(await outcome("exit 1"), [false, 9999999]);
      const denied = await answer("echo 'ping: socktype: SOCK_RAW: Operation not permitted' >&2; exit 2");
      assert.match((denied.elements as { failures: string[] }).failures[0]!, /Operation not permitted/);
      const missing = await answer(undefined);
      assert.match((missing.elements as { failures: string[] }).failures[0]!, /install iputils-ping/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test("parameters of process and yara", async () => {
  assert.match(await check("process", { names: ["["] }), /no regular expression/);
  assert.match(await check("process", { pids: ["1"] }), /pids/);
  assert.equal(await check("process", {}), "there is no guest");
  const run = await createRun("process");
  assert.deepEqual(run.paramsParser!(["-pid", "1", "-pid", "2", "-uid", "0", "-name", "a", "-kernelthreads"]), {
    ...{ names: ["a"], pids: [1, 2], uids: [0], kernelthreads: true },
  });
  assert.throws(() => run.paramsParser!(["-pid", "one"]), /need a number/);
  assert.match(await check("yara", { rules: "" }), /rules/);
  assert.match(await check("yara", { rules: "rule a { condition: true }", timeout: 0 }), /timeout/);
});
