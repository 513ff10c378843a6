import assert from "node:assert/strict";
import { test } from "node:test";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest } from "../kit/lab/guest-machine";
import { runShippedScript } from "../kit/scripts/shipped-run";

/** A line of memorysearch.jsonl. */
interface Found {
  readonly number: number;
  readonly direction: "read" | "write";
  readonly what: string;
  readonly isInMemory: boolean;
  readonly timeNs: string;
  readonly pid?: number;
  readonly process: string;
  readonly place: string;
  readonly end: string;
  readonly before: string;
}

const SETTINGS = ["[memorysearch]", "enabled = yes", "processes = all", "most = 5"];

const readFacts = (output: string): Map<string, string> =>
  new Map([...output.matchAll(/^rebox-guest: passer\.(\S+)=(.*)$/gm)].map(([, key, value]) => [key!, value!]));

test("a text is found in every way in which a program passes it on, where and by what the program says, in order", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const settings = [...SETTINGS, 'search = "regex=passing-word-[0-9]{5}-end"'];
    const analysis = await startModules(lab, settings, guest);
    const facts = readFacts(await execute("passer"));
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("memorysearch").errors], [[], []]);
    const all = analysis.read("memorysearch.jsonl").trimEnd().split("\n").map((line) => JSON.parse(line) as Found); // prettier-ignore
    const text = facts.get("text")!;
    const length = text.indexOf("-end") + 4;
    const pid = Number(facts.get("pid"));
    const find = (name: string, direction: string) =>
      all.filter((one) => one.pid === pid && one.direction === direction && one.place.startsWith(`passer!passer_${name}+`)); // prettier-ignore
    const wanted = { number: Number(facts.get("rounds")), plain: text.slice(0, length) };
    const endOf = (name: string, size: number) => `0x${(BigInt(facts.get(name)!) + BigInt(size)).toString(16)}`;

    for (const name of ["bytes", "words"]) {
      const written = find(name, "write").filter(({ isInMemory }) => isInMemory);
      assert.equal(written.length, wanted.number, name);
      for (const { end, before } of written) {
        assert.equal(end, endOf(name, length));
        assert.ok(Buffer.from(before, "hex").toString("latin1").endsWith(wanted.plain));
      }
      assert.equal(find(name, "read").filter(({ isInMemory }) => isInMemory).length, wanted.number, name);
    }
    // Each character has a zero behind it there; the match ends with the last one.
    const wide = find("wide", "write");
    assert.deepEqual(
      wide.filter(({ isInMemory }) => isInMemory).map(({ what, end }) => [what, end]),
      Array.from({ length: wanted.number }, () => ["regex=passing-word-[0-9]{5}-end (utf-16le)", endOf("wide", 2 * length - 1)]), // prettier-ignore
    );
    // From the last byte to the first: the match lies there from its first round on, and again when its last byte is written anew.
    assert.equal(find("backwards", "write").filter(({ isInMemory }) => isInMemory).length, wanted.number - 1);
    // One byte after the other, all at one address.
    const drip = find("drip", "write");
    assert.equal(drip.length, wanted.number);
    for (const { isInMemory, before } of drip) {
      assert.equal(isInMemory, false);
      assert.ok(Buffer.from(before, "hex").toString("latin1").endsWith(wanted.plain));
    }
    // Each round does the same in the same order.
    const order = all
      .filter((one) => one.pid === pid && one.direction === "write")
      .flatMap(({ place }) => /^passer!passer_(bytes|words|drip)\+/.exec(place)?.[1] ?? []);
    assert.deepEqual(order, Array.from({ length: wanted.number }, () => ["bytes", "words", "drip"]).flat());
    assert.ok(all.every(({ timeNs }, index) => index === 0 || BigInt(timeNs) >= BigInt(all[index - 1]!.timeNs)));
    assert.equal(analysis.eventsOf("memory.found").length, all.length);
  });
});

test("AES keys of every size are found when a program expands them, and are the ones that it says", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const analysis = await startModules(lab, [...SETTINGS, "search = keys"], guest);
    const facts = readFacts(await execute("passer"));
    await stopModules(analysis);
    assert.deepEqual(analysis.log, []);
    const all = analysis.read("memorysearch.jsonl").trimEnd().split("\n").map((line) => JSON.parse(line) as Found); // prettier-ignore
    const own = all.filter(({ pid }) => pid === Number(facts.get("pid")));
    assert.deepEqual(
      own.map(({ what, place, before }) => [what, place.replace(/\+.*/, ""), before]),
      [16, 24, 32].map((size) => [`AES-${size * 8} key`, "passer!passer_expand", facts.get(`key.${size}`)]),
    );
  });
});

test("the script finds a text in the sandbox, of chosen processes alone, and counts by place", async () => {
  const run = await runShippedScript("memory_search", 'memory_search text="passing-word" process=passer writes', {
    task: "passer",
    atEnd: ["passer", "memory_search_places"],
    timeoutMs: 180_000,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.equal(run.answers[0], 'searching for text="passing-word" (utf-8), text="passing-word" (utf-16le)');
  const pid = run.truth.get("passer.pid")!;
  assert.ok(run.printed.length > 10, run.printed.join("\n"));
  const line = new RegExp(`^\\d+ ${pid} passer write by \\S+, (up to 0x[0-9a-f]+|byte after byte): text="passing-word" \\(.*\\) ".*p.*"$`); // prettier-ignore
  for (const one of run.printed) assert.match(one, line);
  const places = run.answers[1]!;
  const timesOf = (name: string) => Number(new RegExp(`(\\d+) write by passer!passer_${name}\\+0x`).exec(places)?.[1]);
  const rounds = Number(run.truth.get("passer.rounds"));
  for (const name of ["bytes", "words", "wide", "drip"]) assert.equal(timesOf(name), rounds, places);
});
