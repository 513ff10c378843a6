import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { runRebox } from "../kit/guests/guest-run";
import { analyze, consoleMachine, findLeft, recordOf, yamlOf } from "../kit/lab/analyze-run";
import { NEEDS_QEMU, type TestLab, untilTrue, withTestLab } from "../kit/lab/lab-run";
import { REBOX } from "../kit/project";

const LIMIT_MS = 240_000;

function withMachine(
  more: readonly string[],
  use: (lab: TestLab) => Promise<void>,
  machinery = "rebox",
): Promise<void> {
  return withTestLab({ [`conf/machineries/${machinery}.yaml`]: yamlOf({ g: consoleMachine(more) }) }, use);
}

function machine(lab: TestLab, ...args: readonly string[]) {
  return runRebox(["machine", ...args, "--lab", lab.folder], LIMIT_MS);
}

/** Runs `rebox machine`, and fails with its messages when it does. */
async function act(lab: TestLab, ...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await machine(lab, ...args);
  assert.equal(status, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** Runs a command in an analysis of machine g, and returns what the guest's console shows of it between two marks. */
async function ask(lab: TestLab, command: string, id = 1): Promise<string> {
  const { status, stdout } = await analyze(lab, "--machine", "g", "--command", `(${command}) > /dev/console 2>&1`);
  assert.equal(status, 0, stdout);
  assert.equal(recordOf(lab, id).outcome, "finished", recordOf(lab, id).reason);
  return lab.read("state/g/console.log");
}

/** Publishes the golden state of machine g in a cluster, and runs a command there on another host. Returns what the console of that one shows. */
async function askElsewhere(lab: TestLab, command: string): Promise<string> {
  const place = lab.path("cluster");
  const made = await runRebox(["lab", "init", lab.folder, "--regen", "--cluster", place], LIMIT_MS);
  assert.equal(made.status, 0, made.stderr);
  assert.match(
    await act(lab, "golden", "publish", "g"),
    /^published the golden state ready of g: \d+ MiB were new to the store$/m,
  );
  lab.write("other/conf/machineries/rebox.yaml", yamlOf({ g: consoleMachine([]) }));
  lab.write("other/conf/cluster.yaml", `lab: other\nfolder: ${place}\n`);
  const host = spawn(process.execPath, [REBOX, "host", "--lab", lab.path("other"), "--name", "other"], { stdio: ["ignore", "ignore", "pipe"] }); // prettier-ignore
  let errors = "";
  host.stderr.on("data", (text: Buffer) => (errors += String(text)));
  try {
    const { status, stdout } = await analyze(lab, "--machine", "g", "--command", `(${command}) > /dev/console 2>&1`);
    assert.equal(status, 0, stdout + errors);
    assert.match(errors, /fetched the golden state ready of g/);
    return lab.read("other/state/g/console.log");
  } finally {
    host.kill();
    if (host.exitCode === null) await once(host, "exit");
  }
}

describe("a golden state", () => {
  test("is where starts and analyses begin: with the changes that were made, and without a boot", async () => {
    await withMachine([], async (lab) => {
      lab.write("gift", "from outside");
      const change = "echo -n made > /changed; cat /proc/sys/kernel/random/boot_id > /boot-id";
      const prepared = await machine(
        lab,
        "prepare",
        "g",
        "--copy",
        `${lab.path("gift")}:/srv/gift`,
        "--command",
        change,
      );
      assert.equal(prepared.status, 0, prepared.stderr);
      assert.match(prepared.stderr, /waiting until the system is quiet|freezing/);
      assert.match(prepared.stdout, /^g has the golden state ready: RAM of 256 MiB$/m);
      assert.deepEqual(findLeft(lab), []);
      const shown = await ask(lab, "echo [$(cat /changed) $(cat /srv/gift)] $(cmp /boot-id /proc/sys/kernel/random/boot_id && echo same)"); // prettier-ignore
      assert.match(shown, /\[made from outside\] same/);
      assert.doesNotMatch(shown, /Linux version|Run \/init/, "nothing boots");
      // What one analysis does is not there for the next.
      assert.match(await ask(lab, "echo -n first > /changed; echo wrote $(cat /changed)", 2), /wrote first/);
      assert.match(await ask(lab, "echo [$(cat /changed)]", 3), /\[made\]/);
      assert.deepEqual(findLeft(lab), []);
      assert.match(await askElsewhere(lab, "echo [$(cat /changed)]"), /\[made\]/);
    });
  });

  test("gives its clones the time of the day and random numbers of their own", async () => {
    await withMachine(["max: 2"], async (lab) => {
      await act(lab, "prepare", "g");
      const command = "echo now $(date -u +%s) random $(od -An -tx1 -N16 /dev/urandom) > /dev/console";
      const { status, stdout } = await analyze(
        lab,
        "--machine",
        "g",
        "--command",
        command,
        "--runs",
        "2",
        "--parallel",
        "2",
      );
      assert.equal(status, 0, stdout);
      const found = ["g#1", "g#2"].map((name) => {
        const [, seconds, random] =
          /^now (\d+) random ([0-9a-f ]{47})/m.exec(lab.read(`state/${name}/console.log`)) ?? [];
        return { seconds: Number(seconds), random };
      });
      for (const { seconds } of found) assert.ok(Math.abs(seconds - Date.now() / 1000) < 120, `${seconds}`);
      assert.ok(found[0]!.random !== undefined && found[0]!.random !== found[1]!.random);
      assert.deepEqual([1, 2].map((id) => recordOf(lab, id).machine?.name).toSorted(), ["g#1", "g#2"]);
      const dated = await analyze(lab, "--machine", "g", "--command", "date -u +%F > /dev/console", "--options", "clock=03-04-2031 05:06:07"); // prettier-ignore
      assert.equal(dated.status, 0, dated.stdout);
      const name = recordOf(lab, 3).machine!.name;
      assert.match(lab.read(`state/${name}/console.log`), /^2031-03-04\s*$/m);
    });
  });

  test("is listed, shown, replaced and removed by its name, and chosen by the machine's setting", async () => {
    await withMachine([], async (lab) => {
      await act(lab, "prepare", "g", "--as", "one", "--command", "echo -n 1 > /which");
      // Made from the first one, and whole in itself.
      await act(lab, "prepare", "g", "--as", "two", "--from", "one", "--command", "echo -n $(cat /which)2 > /which");
      const readRate = (name: string) =>
        (JSON.parse(lab.read(`golden/g/${name}/golden.json`)) as { ticksKhz?: number }).ticksKhz;
      assert.ok(Number(readRate("one")) > 100_000, "the rate of the processor's ticks where it was booted");
      assert.equal(readRate("two"), readRate("one"));
      assert.match(await act(lab, "golden", "list"), /^g two: .*\ng one: /);
      assert.match(await act(lab, "golden", "show", "g", "one"), /changed by command echo -n 1[^]*its files are whole/);
      assert.match(await ask(lab, "echo which $(cat /which)"), /which 12/);
      lab.write("conf/machineries/rebox.yaml", yamlOf({ g: consoleMachine(["golden: one"]) }));
      assert.match(await ask(lab, "echo which $(cat /which)", 2), /which 1/);
      const again = await machine(lab, "prepare", "g", "--as", "one");
      assert.deepEqual([again.status, /has a golden state one already; --as gives another name, --replace/.test(again.stderr)], [1, true]); // prettier-ignore
      await act(lab, "golden", "remove", "g", "one");
      assert.match((await machine(lab, "start", "g")).stderr, /g has no golden state one; there is two; make one: rebox machine prepare g --as one/); // prettier-ignore
    });
  });

  test("serves an ordinary QEMU too", { skip: NEEDS_QEMU }, async () => {
    await withMachine(
      ["ip: 127.0.0.2"],
      async (lab) => {
        await act(lab, "prepare", "g", "--command", "echo -n made > /changed");
        assert.match(await ask(lab, "echo [$(cat /changed)]"), /\[made\]/);
        assert.deepEqual(findLeft(lab), []);
      },
      "qemu",
    );
  });
});

describe("a golden state that cannot be used is refused with the reason and the command that makes it anew", () => {
  test("when its files are damaged, and when what it was made with has changed", async () => {
    await withMachine([], async (lab) => {
      await act(lab, "prepare", "g");
      const ram = lab.path("golden/g/ready/ram");
      // As after a copy: other times, the same content.
      utimesSync(ram, 1, 1);
      await act(lab, "start", "g");
      await act(lab, "stop", "g");
      lab.write("conf/machineries/rebox.yaml", yamlOf({ g: [...consoleMachine(), "cpus: 2"] }));
      const changed = await machine(lab, "start", "g");
      assert.match(changed.stderr, /the golden state ready of g cannot be used: the machine's arguments have changed: "1" is now "2"; make it anew: rebox machine prepare g --as ready --replace/); // prettier-ignore
      lab.write("conf/machineries/rebox.yaml", yamlOf({ g: consoleMachine() }));
      await act(lab, "enable", "g");
      const { size } = statSync(ram);
      truncateSync(ram, size - 4096);
      const cut = await machine(lab, "start", "g");
      assert.match(cut.stderr, new RegExp(`ram has ${size - 4096} bytes; it had ${size}`));
      truncateSync(ram, size);
      await act(lab, "enable", "g");
      writeFileSync(lab.path("golden/g/ready/golden.json"), "{");
      const { stderr } = await machine(lab, "golden", "list");
      assert.match(stderr, /golden\.json cannot be read/);
    });
  });

  test("when the machine is not prepared, or in use, or the guest never becomes ready", async () => {
    await withMachine(["max: 1"], async (lab) => {
      const early = await analyze(lab, "--machine", "g", "--command", "true");
      assert.match(
        recordOf(lab).reason!,
        /g#1 is a clone, and g has no golden state; make one: rebox machine prepare g/,
      );
      assert.equal(early.status, 1);
      const clone = await machine(lab, "prepare", "g#1");
      assert.match(clone.stderr, /g#1 is a clone: prepare g/);
      const busy = "(while :; do :; done) >/dev/null 2>&1 &";
      const { status, stderr } = await machine(lab, "prepare", "g", "--timeout", "30", "--command", busy);
      assert.equal(status, 1);
      assert.match(stderr, /the system did not become quiet: its processors are \d+ % busy with sh\b/);
      const failed = await machine(lab, "prepare", "g", "--command", "echo why not; false");
      assert.match(failed.stderr, /ended with status 1 in the guest: why not/);
      assert.ok(!existsSync(lab.path("golden/g/ready")));
      assert.deepEqual(readdirSync(lab.path("golden/g")), []);
      assert.deepEqual(findLeft(lab), []);
    });
  });

  test("when its making was killed: nothing of it is used, and the next one cleans up", async () => {
    await withMachine([], async (lab) => {
      for (const moment of [/starting g/, /waiting for a way/, /the init system|quiet/, /freezing|checksums/]) {
        const child = spawn(process.execPath, [REBOX, "machine", "prepare", "g", "--lab", lab.folder], { stdio: ["ignore", "ignore", "pipe"] }); // prettier-ignore
        let said = "";
        child.stderr.on("data", (text: Buffer) => (said += String(text)));
        await untilTrue(() => moment.test(said) || child.exitCode !== null);
        child.kill("SIGKILL");
        await untilTrue(() => child.exitCode !== null || child.signalCode !== null);
        assert.ok(!existsSync(lab.path("golden/g/ready")), said);
      }
      await act(lab, "prepare", "g");
      assert.deepEqual(readdirSync(lab.path("golden/g")), ["ready"]);
      assert.deepEqual(findLeft(lab), []);
    });
  });
});
