import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { readRun } from "../../scripts/_coverage_file";
import { analyze, consoleMachine, recordOf, yamlOf } from "../kit/lab/analyze-run";
import { withTestLab } from "../kit/lab/lab-run";
import { giveReady } from "../kit/lab/ready-lab";

/** A loop of the guest's own, which executes a program when a file of its name is there. A file that it read would make it the target's. */
const BESIDE =
  "setsid sh -c 'for each in 1 2 3; do until go=$(ls /tmp/go-* 2>/dev/null); do sleep 1; done; rm $go; " +
  "echo beside-begins; ${go#/tmp/go-}; echo beside-ends; echo > /tmp/done; done' < /dev/null > /dev/console 2>&1 &";

/** An event of an analysis, or a line of a module's file. */
interface Fact {
  readonly type: string;
  readonly pid?: number;
  readonly [name: string]: unknown;
}

/** What a program of the guest kit has said of itself. */
type OwnWords = ReadonlyMap<string, string>;

/** An analysis of a program, and the same program beside it, which is none of the target's. */
interface Watched {
  readonly events: readonly Fact[];
  readonly own: OwnWords;
  readonly beside: OwnWords;
  readonly ownText: string;
  read(name: string): string;
  readBytes(name: string): Uint8Array;
}

const readLines = (text: string) => text.trim().split("\n").map((line) => JSON.parse(line) as Fact); // prettier-ignore

/** Analyses a program with a module that watches `processes = target`, as all of them do by default. */
async function watch(program: string, module: string, settings: readonly string[], use: (watched: Watched) => void) {
  const machine = consoleMachine();
  const files = {
    "conf/machineries/rebox.yaml": yamlOf({ g: machine }),
    "conf/auxiliary.conf": [`[${module}]`, "enabled = yes", ...settings, ""].join("\n"),
  };
  await withTestLab(files, async (lab) => {
    await giveReady(lab, { name: "g", settings: machine, changes: ["--command", BESIDE] });
    const command = `echo > /tmp/go-${program}; until [ -e /tmp/done ]; do sleep 1; done; echo own-begins; ${program}; echo own-ends`;
    const { status, stdout } = await analyze(lab, "--machine", "g", "--command", command, "--timeout", "200");
    assert.equal(status, 0, stdout);
    const { reason, auxiliary } = recordOf(lab);
    assert.equal(reason, "the command ended with status 0", stdout);
    assert.deepEqual(auxiliary.find(({ name }) => name === module)!.errors, []);
    const shown = lab.read("state/g/console.log").replaceAll("\r", "");
    const textOf = (who: string) => {
      const [, text] = new RegExp(`^${who}-begins$([^]*)^${who}-ends$`, "m").exec(shown) ?? [];
      assert.ok(text, shown);
      return text;
    };
    const wordsOf = (who: string) =>
      new Map([...textOf(who).matchAll(/^rebox-guest: \w+\.(\S+)=(.*)$/gm)].map(([, key, value]) => [key!, value!]));
    use({
      ...{
        events: readLines(lab.read("analyses/1/events.jsonl")),
        own: wordsOf("own"),
        beside: wordsOf("beside"),
        ownText: textOf("own"),
      },
      read: (name) => lab.read(`analyses/1/${name}`),
      readBytes: (name) => readFileSync(lab.path(`analyses/1/${name}`)),
    });
  });
}

describe("a module that watches the target reports what its processes do, and not what the same program does beside", () => {
  test("exploits: each sign is the target's, of all kinds, where the program says that its code lies", async () => {
    await watch("overflow", "exploits", [], ({ events, own, beside, read }) => {
      const signs = JSON.parse(read("exploits.json")) as { kind: string; pid: number; at: string; process: string }[];
      assert.notEqual(own.get("pid"), beside.get("pid"));
      const ofProgram = signs.filter(({ process }) => process === "overflow");
      assert.deepEqual(new Set(ofProgram.map(({ pid }) => String(pid))), new Set([own.get("pid")]));
      assert.deepEqual([...new Set(ofProgram.map(({ kind }) => kind))].toSorted(), ["data", "pivot", "return", "wx"]);
      assert.ok(
        ofProgram.some(({ kind, at }) => kind === "wx" && at === own.get("code")),
        read("exploits.json"),
      );
      // The shells that started it behave.
      assert.equal(ofProgram.length, signs.length, read("exploits.json"));
      assert.equal(events.filter(({ type }) => type.startsWith("exploit.")).length, signs.length);
    });
  });

  test("injections: the acts are those of the target's program, as it says them", async () => {
    await watch("injector", "injections", [], ({ events, own, beside, ownText }) => {
      const acts = events.filter(({ type }) => type.startsWith("injection."));
      assert.notEqual(own.get("pid"), beside.get("pid"));
      const pids = new Set([own.get("pid"), own.get("child")].map(Number));
      assert.ok(
        acts.every(({ pid, target }) => pids.has(pid!) && pids.has(target as number)),
        JSON.stringify(acts),
      );
      const said = [...ownText.matchAll(/^rebox-act: \d+ writes (\d+) bytes at (\S+) by ([^:]+): /gm)];
      assert.equal(said.length, 3, ownText);
      assert.deepEqual(
        acts.filter(({ type }) => type === "injection.written").map(({ size, address, way }) => [String(size), address, way]), // prettier-ignore
        said.map(([, size, address, way]) => [size, address, way]),
      );
      assert.deepEqual(new Set(acts.map(({ type }) => type)), new Set(["attached", "registers", "shared", "written"].map((kind) => `injection.${kind}`))); // prettier-ignore
    });
  });

  test("memorysearch: AES keys are those that the target's program says", async () => {
    await watch("passer", "memorysearch", ["search = keys"], ({ events, own, beside, read }) => {
      const lines = readLines(read("memorysearch.jsonl"));
      assert.notEqual(own.get("pid"), beside.get("pid"));
      assert.deepEqual(
        lines.map(({ pid, what, before }) => [String(pid), what, before]),
        [16, 24, 32].map((size) => [own.get("pid"), `AES-${size * 8} key`, own.get(`key.${size}`)]),
      );
      assert.equal(events.filter(({ type }) => type === "memory.found").length, lines.length);
    });
  });

  test("coverage: the blocks are those of the target's program and of the shells that started it", async () => {
    await watch("passer", "coverage", ["edges = yes"], ({ events, own, beside, read, readBytes }) => {
      const modules = readRun(readBytes("coverage.drcov"));
      const facts = JSON.parse(read("coverage.drcov.json")) as { path: string; blocks: number; processes: { pid: number }[] }[]; // prettier-ignore
      assert.deepEqual(facts.map(({ path, blocks }) => [path, blocks]), modules.map(({ path, blocks }) => [path, blocks.size])); // prettier-ignore
      const program = facts.filter(({ path }) => path === "/bin/passer");
      assert.deepEqual(
        program.flatMap(({ processes }) => processes.map(({ pid }) => String(pid))),
        [own.get("pid")],
      );
      assert.ok(!facts.some(({ processes }) => processes.some(({ pid }) => String(pid) === beside.get("pid"))));
      assert.ok(facts.some(({ path }) => path === "/bin/busybox"));
      for (const { path, size, blocks } of modules)
        assert.ok(
          [...blocks.keys()].every((offset) => offset >= 0 && offset < size),
          path,
        );
      assert.match(read("coverage.drcov.edges"), /^\d+ \/bin\/passer\+0x[0-9a-f]+ \/bin\/passer\+0x[0-9a-f]+$/m);
      const [written] = events.filter(({ type }) => type === "coverage.written");
      assert.equal(written!["blocks"], facts.reduce((sum, { blocks }) => sum + blocks, 0)); // prettier-ignore
    });
  });
});
