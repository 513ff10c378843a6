import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import type { ScopeEvent } from "../../src/guest/scope/scope-event";
import type { CountedCallback } from "../kit/observers/count-calls";
import type { TaskPlaces } from "../kit/observers/task-places";
import { type GuestKit, listKits } from "../kit/guests/guest-kits";
import { type GuestMachine, type GuestMachineOptions, withGuest } from "../kit/lab/guest-machine";
import { PROJECT } from "../kit/project";

const MARK = "REBOX_RUN=rebox-test";
const fileOf = (path: string): string => join(PROJECT, path);

interface Watched extends GuestMachine {
  /** What the observers have told, by the observer. */
  readonly told: { readonly of: string; readonly value: Readonly<Record<string, unknown>> }[];
  /** The calls of scripts until now. */
  count(): Promise<CountedCallback[]>;
  /** Waits until something is told. */
  until(of: string, what: Readonly<Record<string, unknown>>): Promise<void>;
  /** The recorded system calls until now: the file has them a little later than they are made. */
  readLog(): string;
}

/** Has a target carry out a script while everything that an analysis observes by default is observed. */
async function watch(
  script: string,
  options: GuestMachineOptions,
  use: (watched: Watched) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-test-"));
  try {
    await withGuest(options, async (machine) => {
      const { guest, execute } = machine;
      await execute("true");
      const told: Watched["told"] = [];
      const observers = {
        "modules/analysis/follow-target.ts": { mark: MARK },
        "modules/auxiliary/engine/processes.ts": {},
        "modules/auxiliary/engine/syscalls.ts": { file: join(folder, "log"), mostBytes: 1 << 20, whose: "target", calls: [], mostActs: 1000 }, // prettier-ignore
        "modules/auxiliary/engine/artefacts.ts": {
          ...{
            folder: join(folder, "files"),
            coreFolder: join(folder, "cores"),
            codeFolder: join(folder, "code"),
            mostVersions: 10,
          },
          ...{ mostFiles: 100, mostFileBytes: 1 << 20, mostBytes: 1 << 24, mostCores: 0, mostCoreBytes: 0, mostAllCoreBytes: 0, mostCode: 10, mostCodeBytes: 1 << 24, mostAllCodeBytes: 1 << 26 }, // prettier-ignore
        },
      };
      for (const [file, options] of Object.entries(observers)) {
        const of = /([\w-]+)\.ts$/.exec(file)![1]!;
        await guest.observe(fileOf(file), options, (value) => told.push({ of, value: value as never }));
      }
      const count = async (): Promise<CountedCallback[]> => {
        const counter = await guest.observe(fileOf("test/kit/observers/count-calls.ts"), {}, () => undefined);
        return (await counter.end()) as CountedCallback[];
      };
      const until: Watched["until"] = async (of, what) => {
        const isIt = (each: Watched["told"][number]) =>
          each.of === of && Object.entries(what).every(([name, value]) => each.value[name] === value);
        for (let left = 1500; !told.some(isIt); left--) {
          assert.ok(left > 0, `${of} ${JSON.stringify(what)} is told`);
          await sleep(20);
        }
      };
      await execute(`echo ${Buffer.from(script).toString("base64")} | base64 -d > /tmp/target; mkfifo /tmp/go`);
      await execute(`(${MARK} exec /bin/sh -c 'unset REBOX_RUN; exec /bin/sh /tmp/target') > /tmp/said 2>&1 &`);
      const readLog = (): string => readFileSync(join(folder, "log"), "latin1");
      await use({ ...machine, told, count, until, readLog });
      assert.deepEqual(told.filter(({ value }) => value["what"] === "problem"), []); // prettier-ignore
      assert.ok(readLog().length > 0);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const callsOf = (counted: readonly CountedCallback[]) => counted.reduce((sum, { calls }) => sum + calls, 0);
const filteredOf = (counted: readonly CountedCallback[]) => counted.reduce((sum, { filtered }) => sum + filtered, 0);

test("what the system does for itself calls no script, and what the target and those who act for it do is seen", async () => {
  const script = [
    "echo '/bin/cp /tmp/target /tmp/by-system' > /tmp/script.sh; echo one > /tmp/kept",
    "read line < /tmp/go",
    "/bin/mv /tmp/kept /tmp/moved; /bin/chmod 4755 /tmp/moved; read line < /tmp/go",
  ].join("\n");
  await watch(script, {}, async ({ execute, told, count, until }) => {
    await until("syscalls", { act: "file.written", path: "/tmp/kept" });
    // The target waits for a word now.
    await execute("until [ -e /tmp/kept ]; do /bin/sleep 0.1; done; /bin/sleep 1");
    const before = await count();
    await execute(
      "i=0; while [ $i -lt 60 ]; do echo $i > /tmp/o$i; /bin/cat /tmp/o$i > /dev/null; /bin/mv /tmp/o$i /tmp/p; /bin/rm /tmp/p; (:); i=$((i+1)); done",
    );
    const after = await count();
    // Four programs and a fork in each turn, with their system calls, open files and ends.
    assert.ok(filteredOf(after) - filteredOf(before) > 5000, `${filteredOf(before)} ${filteredOf(after)}`);
    const called = after.filter(({ name, calls }) => calls !== (before.find((one) => one.name === name)?.calls ?? 0));
    assert.deepEqual(called, []);
    assert.equal(callsOf(after), callsOf(before));
    const isRm = ({ of, value }: (typeof told)[number]) =>
      of === "processes" && value["what"] === "runs" && value["commandLine"] === "/bin/rm /tmp/p";
    // They are noted all the same, and told a little later.
    for (let left = 100; told.filter(isRm).length < 60 && left > 0; left--) await sleep(20);
    const began = told.filter(isRm);
    assert.equal(began.length, 60);
    assert.ok(began.every(({ value }) => value["origin"] === undefined && value["executable"] === "/bin/rm"));

    await execute("echo > /tmp/go");
    await until("syscalls", { act: "file.mode", path: "/tmp/moved", mode: "4755" });
    await until("syscalls", { act: "file.renamed", path: "/tmp/kept", to: "/tmp/moved" });
    await until("artefacts", { what: "file", path: "/tmp/kept", moment: "closed" });
    // Written by the target, executed by the system.
    await execute("/bin/sh /tmp/script.sh");
    await until("follow-target", { what: "adopted", act: "executes /tmp/script.sh, which it wrote" });
    await until("syscalls", { act: "file.written", path: "/tmp/by-system" });
    await until("processes", { what: "runs", commandLine: "/bin/cp /tmp/target /tmp/by-system", origin: "adopted" });
    assert.ok(!told.some(({ of, value }) => of === "syscalls" && /^\/tmp\/[op]\d*$/.test(String(value["path"]))));
    await execute("echo > /tmp/go");
    await until("follow-target", { what: "ended" });
  });
});

test("a process of the system that gets the place of one of the target is not taken for it", async () => {
  const script = "i=0; while [ $i -lt 40 ]; do /bin/true; i=$((i+1)); done; echo > /tmp/done; read line < /tmp/go";
  // With isolated page tables, tasks are found although a program's own tables lack the kernel's data.
  await watch(script, { append: "pti=on" }, async ({ guest, execute, told }) => {
    const observer = await guest.observe(fileOf("test/kit/observers/task-places.ts"), {}, () => undefined);
    await execute("until [ -e /tmp/done ]; do /bin/sleep 0.1; done");
    const output = await execute("i=0; while [ $i -lt 40 ]; do /bin/sh -c 'echo pid $$'; i=$((i+1)); done");
    const outside = [...output.matchAll(/^pid (\d+)$/gm)].map(([, pid]) => Number(pid));
    const { places, ending } = (await observer.end()) as TaskPlaces;
    const ofScope = places.filter(({ isOfScope }) => isOfScope);
    assert.ok(ofScope.length > 0 && outside.length === 40, `${ofScope.length} ${outside.length}`);
    const reused = places.filter(({ pid, place }) => outside.includes(pid) && ofScope.some((one) => one.place === place)); // prettier-ignore
    assert.ok(reused.length > 0, "a place was used again");
    // Of 40 that have ended: the kernel frees a task a little later than it ends.
    assert.ok(ending >= 0 && ending < 10, `${ending} are taken for ending`);
    assert.deepEqual(places.filter(({ pid, isOfScope }) => outside.includes(pid) && isOfScope), []); // prettier-ignore
    const isOutside = ({ value }: (typeof told)[number]) => outside.includes(Number(value["pid"]));
    assert.deepEqual(told.filter((each) => isOutside(each) && (each.of !== "processes" || each.value["origin"] !== undefined)), []); // prettier-ignore
    assert.deepEqual(told.flatMap(({ of, value }) => (of === "follow-target" ? [(value as ScopeEvent).what] : [])), ["began"]); // prettier-ignore
    assert.ok(told.some(({ of, value }) => of === "syscalls" && value["path"] === "/tmp/done"));
    await execute("echo > /tmp/go");
  });
});

/** Has engines find the profile of a kernel that does not describe itself. */
async function withProfile({ profile }: GuestKit, use: () => Promise<void>): Promise<void> {
  const [data, before] = [mkdtempSync(join(tmpdir(), "rebox-test-")), process.env["XDG_DATA_HOME"]];
  try {
    mkdirSync(join(data, "rebox/profiles"), { recursive: true });
    if (profile !== undefined) copyFileSync(profile, join(data, "rebox/profiles/kit.profile"));
    process.env["XDG_DATA_HOME"] = data;
    await use();
  } finally {
    if (before === undefined) delete process.env["XDG_DATA_HOME"];
    else process.env["XDG_DATA_HOME"] = before;
    rmSync(data, { recursive: true });
  }
}

// With isolated page tables, a program's own lack the kernel's data, and the task is found through the other ones.
for (const append of ["", "pti=on"]) {
  test(`in a kernel of 32 bits the target's system calls are recorded, and the system's call no script (${append || "pti=off"})`, async (context) => {
    const kit = listKits().find(({ release }) => release.includes("686"));
    if (kit === undefined) return context.skip("there is no kernel of 32 bits");
    const script = "/bin/echo one > /tmp/kept; read line < /tmp/go; /bin/cat /tmp/kept; read line < /tmp/go";
    const use = async ({ execute, count, readLog, until }: Watched): Promise<void> => {
      await until("processes", { what: "runs", commandLine: "/bin/echo one", origin: "target" });
      await execute("until [ -s /tmp/kept ]; do /bin/sleep 0.1; done; /bin/sleep 1");
      const before = await count();
      await execute(
        "i=0; while [ $i -lt 20 ]; do /bin/echo $i > /tmp/o$i; /bin/cat /tmp/o$i > /dev/null; i=$((i+1)); done",
      );
      const after = await count();
      assert.ok(filteredOf(after) - filteredOf(before) > 1000, `${filteredOf(before)} ${filteredOf(after)}`);
      assert.equal(callsOf(after), callsOf(before));
      await execute("echo > /tmp/go");
      await until("processes", { what: "runs", commandLine: "/bin/cat /tmp/kept", origin: "target" });
      for (let left = 200; !/ cat \w*open\w*\(.*"\/tmp\/kept"/.test(readLog()) && left > 0; left--) await sleep(20);
      const log = readLog();
      assert.match(log, / sh \w*open\w*\(.*"\/tmp\/kept"/);
      assert.match(log, / echo write\(fd=1, buf="one\\n", count=4\)/);
      assert.match(log, / cat \w*open\w*\(.*"\/tmp\/kept"/);
      assert.doesNotMatch(log, /\/tmp\/o\d/);
      await execute("echo > /tmp/go");
    };
    await withProfile(kit, () => watch(script, { kit, append }, use));
  });
}
