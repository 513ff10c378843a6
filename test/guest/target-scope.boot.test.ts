import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import type { ScopeEvent } from "../../src/guest/scope/scope-event";
import { type GuestMachine, withGuest } from "../kit/lab/guest-machine";
import { PROJECT } from "../kit/project";

const FOLLOWER = join(PROJECT, "modules/analysis/follow-target.ts");
const MARK = "REBOX_RUN=rebox-test";

interface Followed extends GuestMachine {
  readonly events: ScopeEvent[];
  /** Waits for an event of a kind. */
  until<What extends ScopeEvent["what"]>(what: What): Promise<Extract<ScopeEvent, { what: What }>>;
}

/** Follows a target that carries out a script in the background of a guest; everything else is the system's. */
async function follow(script: string, use: (followed: Followed) => Promise<void>): Promise<void> {
  await withGuest({}, async (machine) => {
    const { guest, execute } = machine;
    await execute("true");
    const events: ScopeEvent[] = [];
    await guest.observe(FOLLOWER, { mark: MARK }, (event) => events.push(event as ScopeEvent));
    const until: Followed["until"] = async (what) => {
      for (;;) {
        const found = events.find((event) => event.what === what);
        if (found !== undefined) return found as never;
        await sleep(20);
      }
    };
    await execute(`echo ${Buffer.from(script).toString("base64")} | base64 -d > /tmp/target`);
    await execute(`(${MARK} exec /bin/sh -c 'unset REBOX_RUN; exec /bin/sh /tmp/target') > /tmp/said 2>&1 &`);
    await use({ ...machine, events, until });
    assert.deepEqual(events.filter(({ what }) => what === "problem"), []); // prettier-ignore
  });
}

/** The adoptions, each with the number of the process and how it came about. */
const adoptionsOf = (events: readonly ScopeEvent[]) =>
  events.flatMap((event) => (event.what === "adopted" ? [[event.pid, event.act] as const] : []));

/** Has a target change another process, and returns how that was taken. */
async function inject(how: string) {
  let seen: { victim: number; adoptions: ReturnType<typeof adoptionsOf> } | undefined;
  // The system's process is there before the target changes it.
  const script = `until read victim 2>/dev/null < /tmp/victim; do sleep 0.1; done\ninject ${how} $victim\necho > /tmp/done`;
  await follow(script, async ({ execute, events, until }) => {
    const output = await execute("/bin/sleep 900 & echo $! > /tmp/new; mv /tmp/new /tmp/victim; echo victim $!");
    const victim = Number(/victim (\d+)/.exec(output)![1]);
    const said = await execute("until [ -e /tmp/done ]; do /bin/sleep 0.1; done; cat /tmp/said");
    assert.match(said, new RegExp(`inject\\.${how}=${victim}`));
    const adoptions = adoptionsOf(events);
    if (adoptions.length > 0) {
      // The scope lives as long as the one that it has changed.
      assert.ok(!events.some(({ what }) => what === "ended"));
      await execute(`kill ${victim}`);
    }
    await until("ended");
    seen = { victim, adoptions };
  });
  return seen!;
}

for (const [how, act] of [
  ["ptrace", "ptrace(PTRACE_POKEDATA)"],
  ["writev", "process_vm_writev()"],
  ["mem", "a write to /proc/PID/mem"],
] as const) {
  test(`a process whose memory the target changes by ${how} is adopted, and waited for`, async () => {
    const { victim, adoptions } = await inject(how);
    assert.deepEqual(adoptions, [[victim, act]]);
  });
}

test("a process whose memory the target only reads stays the system's", async () => {
  assert.deepEqual((await inject("read")).adoptions, []);
});

test("a program and a script that the target has written are adopted where the system uses them, by whatever name", async () => {
  const script = [
    "mkdir /tmp/d; cp /bin/busybox /tmp/d/new; mv /tmp/d/new /tmp/d/true",
    "echo '/bin/true' > /tmp/d/draft; ln /tmp/d/draft /tmp/d/script.sh; rm /tmp/d/draft",
    "cp /etc/passwd /tmp/d/data; echo > /tmp/done; sleep 900",
  ];
  await follow(script.join("\n"), async ({ execute, events }) => {
    await execute("until [ -e /tmp/done ]; do /bin/sleep 0.1; done");
    const started = ["program $$; exec /tmp/d/true", "script $$; exec /bin/sh /tmp/d/script.sh"];
    const output = await execute(
      `${started.map((line) => `/bin/sh -c 'echo ${line}'`).join("; ")}; /bin/cat /tmp/d/data > /dev/null`,
    );
    const [program, script] = ["program", "script"].map((name) => Number(new RegExp(`${name} (\\d+)`).exec(output)![1])); // prettier-ignore
    assert.deepEqual(
      adoptionsOf(events).sort(([one], [other]) => one - other),
      [
        [program, "executes /tmp/d/true, which it wrote"],
        [script, "executes /tmp/d/script.sh, which it wrote"],
      ],
    );
  });
});

test("a service of a unit, and a job of a table, that the target has written are adopted when the system starts them", async () => {
  const script = [
    "mkdir -p /etc/systemd/system /var/spool/cron/crontabs",
    "echo '[Service]' > /etc/systemd/system/evil.service",
    "echo '/bin/sleep 0.11' > /var/spool/cron/crontabs/root",
    "echo > /tmp/done; sleep 900",
  ];
  await follow(script.join("\n"), async ({ execute, events }) => {
    await execute("until [ -e /tmp/done ]; do /bin/sleep 0.1; done");
    await execute(
      "mkdir -p /tmp/groups && mount -t cgroup2 none /tmp/groups && mkdir -p /tmp/groups/evil.service/inner",
    );
    // As systemd and cron do it: a process in the unit's control group; a daemon that has read the table starts its line.
    const output = await execute(
      [
        "/bin/sh -c 'echo $$ > /tmp/groups/evil.service/inner/cgroup.procs; echo unit $$; exec /bin/true'",
        `/bin/sh -c 'printf crond > /proc/$$/comm; read job < /var/spool/cron/crontabs/root; (exec /bin/sh -c "$job"); echo done'`,
        "/bin/sleep 0.11",
      ].join("; "),
    );
    const unit = Number(/unit (\d+)/.exec(output)![1]);
    const adoptions = adoptionsOf(events);
    assert.deepEqual(adoptions.find(([pid]) => pid === unit)?.[1], "belongs to /etc/systemd/system/evil.service, which it wrote"); // prettier-ignore
    assert.deepEqual(adoptions.slice(1).map(([, act]) => act), ["is a job of /var/spool/cron/crontabs/root, which it wrote"]); // prettier-ignore
  });
});

test("a program that the kernel starts for the target is adopted", async () => {
  const script = [
    "echo '|/bin/busybox sleep 2' > /proc/sys/kernel/core_pattern; ulimit -c unlimited",
    "/bin/sh -c 'kill -SEGV $$'",
  ];
  await follow(script.join("\n"), async ({ events, until }) => {
    await until("ended");
    assert.deepEqual(adoptionsOf(events).map(([, act]) => act), ["the kernel starts /bin/busybox for it"]); // prettier-ignore
  });
});

test("the end is that of the target's first process, when the last has ended", async () => {
  await follow("/bin/sleep 2 & exit 7", async ({ until, events }) => {
    const { status, signal, processes } = await until("ended");
    assert.deepEqual([status, signal, processes], [7, undefined, 2]);
    assert.deepEqual(events.map(({ what }) => what), ["began", "ended"]); // prettier-ignore
  });
});
