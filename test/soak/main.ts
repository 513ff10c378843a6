import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { runMixedAnalyses } from "../kit/lab/mixed-analyses";
import { getDebianFolder } from "../kit/lab/ready-debian";
import { soakHosts } from "./hosts-soak";
import { runRecordings } from "./recordings";
import { IS_NAMESPACE, runInNamespace } from "./soak-namespace";
import { SoakRun } from "./soak-run";

const USAGE =
  "usage: npm run soak -- [--minutes N] [--seed N] [--first N]\n       npm run soak -- --analyses N\n       npm run soak -- --hosts N [--seed N]\n" +
  "       npm run soak -- --recordings N [--seconds N] [--seed N]";
const LARGEST_SEED = 0xffffffff;
/** Of analyses on the older system: each way in and each network is among them. */
const MOST_OLDER = 21;

function fail(message: string): never {
  console.error(`soak: ${message}\n${USAGE}`);
  process.exit(2);
}

function readNumber(name: string, text: string, largest: number): number {
  const value = Number(text);
  if (!(value > 0 && value <= largest)) fail(`--${name} is ${text}: a number above 0, at most ${largest}`);
  return value;
}

/** Makes some analyses on Debian 12 too, where set-up could make one. */
async function runOlderAnalyses(count: number): Promise<void> {
  if (!existsSync(getDebianFolder("bookworm"))) {
    console.log("soak: set-up has made no Debian 12, so it is left out");
    return;
  }
  const some = Math.min(count, MOST_OLDER);
  console.log(`soak: ${some} analyses of clones of a Debian 12 in a row`);
  await runMixedAnalyses(some, 1, "bookworm");
}

/** @param seed of the faults */
async function runHosts(count: number, seed: number): Promise<void> {
  console.log(`soak: ${count} analyses on three hosts, of which parts are killed, with seed ${seed}`);
  if (!IS_NAMESPACE)
    console.log("soak: networks are not cut and disks not filled: that takes CAP_SYS_ADMIN, ip and nft");
  const wrong = await soakHosts({ count, seed, say: (line) => console.log(`soak: ${line}`) });
  if (wrong.length === 0) return console.log("soak: each has ended once, with all its files, and nothing is left behind"); // prettier-ignore
  console.error(`soak: failed with seed ${seed}: ${wrong.slice(0, 10).join("\n      ")}`);
  process.exit(1);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string" },
      seed: { type: "string" },
      first: { type: "string" },
      analyses: { type: "string" },
      hosts: { type: "string" },
      recordings: { type: "string" },
      seconds: { type: "string" },
    },
  });
  if (values.analyses !== undefined) {
    const count = Math.floor(readNumber("analyses", values.analyses, 10_000));
    console.log(`soak: ${count} analyses of clones in a row, then ten at once`);
    await runMixedAnalyses(count, 1);
    await runMixedAnalyses(10, 10);
    await runOlderAnalyses(count);
    console.log("soak: none has failed, and nothing is left behind");
    return;
  }
  const seed = Math.floor(
    readNumber("seed", values.seed ?? String(1 + Math.floor(Math.random() * LARGEST_SEED)), LARGEST_SEED),
  );
  if (values.hosts !== undefined) {
    const count = Math.floor(readNumber("hosts", values.hosts, 10_000));
    const status = IS_NAMESPACE ? undefined : runInNamespace();
    if (status === undefined) return runHosts(count, seed);
    process.exitCode = status;
    return;
  }
  if (values.recordings !== undefined) {
    const count = Math.floor(readNumber("recordings", values.recordings, 1_000));
    const seconds = Math.floor(readNumber("seconds", values.seconds ?? "120", 3_600));
    await runRecordings(count, seconds, seed, (line) => console.log(`soak: ${line}`));
    console.log("soak: every replay was what was recorded");
    return;
  }
  const minutes = readNumber("minutes", values.minutes ?? "30", 10_000);
  const first = Math.floor(readNumber("first", values.first ?? "1", LARGEST_SEED));
  console.log(`soak: ${minutes} minutes with seed ${seed}`);
  const run = new SoakRun({ seconds: minutes * 60, seed, first, say: (line) => console.log(`soak: ${line}`) });
  const { violations, summary } = await run.run();
  console.log(`soak: ${summary}`);
  if (violations.length > 0) {
    console.error(`soak: failed with seed ${seed}: ${violations[0]}`);
    process.exit(1);
  }
}

main().catch((error: Error) => fail(error.message));
