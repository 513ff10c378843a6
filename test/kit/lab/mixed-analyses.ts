import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { MARK } from "../../../src/lab/analysis/marked-processes";
import { runRebox } from "../guests/guest-run";
import { findLeft, recordOf } from "./analyze-run";
import { type TestLab, untilTrue } from "./lab-run";
import { type DebianRelease, withDebian } from "./ready-debian";

/** A kind of analysis: by which way its target comes, and in which network it runs. */
interface Mix {
  readonly way: "console" | "guest-agent" | "agent";
  readonly networks: readonly string[];
}

/** Clones share their address: on bridges an agent of CAPE would be any of theirs. */
const MIXES: readonly Mix[] = [
  { way: "console", networks: ["none", "simulated", "user"] },
  { way: "guest-agent", networks: ["user", "none", "simulated"] },
  { way: "agent", networks: ["simulated", "user"] },
];

/** Each writes down who and when it is. */
const TARGET = `#!/bin/sh
echo "said $(hostname) $(date -u +%s)" > /dev/console
`;

const SAMPLE_MS = 200;
/** Of one analysis, on a busy host. */
const LIMIT_MS = 120_000;

/**
 * Makes analyses of clones of a Debian, with each way in and each network, one after the other or some at once, and checks each of
 * them, and that nothing is left behind.
 *
 * @param count of all analyses
 * @param parallel how many at once, 1 to 10
 * @param release of the Debian
 */
export async function runMixedAnalyses(
  count: number,
  parallel: number,
  release: DebianRelease = "trixie",
): Promise<void> {
  const use = async (labs: readonly TestLab[]) => {
    const counts = labs.map((_, index) => Math.floor(count / labs.length) + (index < count % labs.length ? 1 : 0));
    const atOnce = labs.map(
      (_, index) => Math.floor(parallel / labs.length) + (index < parallel % labs.length ? 1 : 0),
    );
    const runs = labs.map(
      (lab, index) => () => runOne(lab, MIXES[index]!, counts[index]!, Math.max(1, atOnce[index]!)),
    );
    if (parallel === 1) for (const run of runs) await run();
    else await Promise.all(runs.map((run) => run()));
  };
  await withLabs([...MIXES], [], use, release);
}

function withLabs(
  left: readonly Mix[],
  labs: readonly TestLab[],
  use: (labs: readonly TestLab[]) => Promise<void>,
  release: DebianRelease,
): Promise<void> {
  const [mix, ...others] = left;
  if (mix === undefined) return use(labs);
  const settings = [`way_in: ${mix.way}`, "max: 5"];
  return withDebian(settings, (lab) => withLabs(others, [...labs, lab], use, release), release);
}

async function runOne(lab: TestLab, { way, networks }: Mix, count: number, parallel: number): Promise<void> {
  const target = lab.write("target.sh", TARGET);
  const namespaces = new Set<string>();
  const sampler = setInterval(() => listNamespaces(lab).forEach((each) => namespaces.add(each)), SAMPLE_MS);
  let id = 0;
  try {
    for (const [index, network] of networks.entries()) {
      const runs = Math.floor(count / networks.length) + (index < count % networks.length ? 1 : 0);
      if (runs === 0) continue;
      const many = ["--runs", String(runs), "--parallel", String(parallel)];
      const args = ["--machine", "office", "--network", network, "--target", target, ...many];
      const { status, stdout } = await runRebox(["analyze", "--lab", lab.folder, ...args], runs * LIMIT_MS);
      assert.equal(status, 0, stdout);
      for (let each = 0; each < runs; each++) checkRecord(lab, ++id, way, network);
    }
  } finally {
    clearInterval(sampler);
  }
  assert.equal(id, count);
  assert.deepEqual(findLeft(lab), []);
  await untilTrue(() => listPids().every((pid) => !namespaces.has(readNamespace(pid) ?? "")));
}

function checkRecord(lab: TestLab, id: number, way: string, network: string): void {
  const record = recordOf(lab, id);
  assert.deepEqual(
    [record.outcome, record.reason],
    ["finished", "the target ended with status 0"],
    `${way} ${network}`,
  );
  assert.equal(record.network!.network, network);
  assert.deepEqual(record.network!.problems, []);
  assert.match(lab.read(`analyses/${id}/events.jsonl`), new RegExp(`"wayIn":"${way}","type":"target.started"`));
}

function listPids(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
}

function readNamespace(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Lists the namespaces, other than this process's, that processes of a lab's analyses are in. */
function listNamespaces(lab: TestLab): string[] {
  const own = readNamespace("self");
  return listPids().flatMap((pid) => {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "latin1").includes(`${MARK}=`)) return [];
      if (!readFileSync(`/proc/${pid}/environ`, "latin1").includes(`@${lab.folder}`)) return [];
    } catch {
      return [];
    }
    const namespace = readNamespace(pid);
    return namespace === undefined || namespace === own ? [] : [namespace];
  });
}
