import assert from "node:assert/strict";
import { test } from "node:test";
import { assembleProgram, writeProgram } from "../kit/guests/assembled-program";
import { NARROW_PROGRAM } from "../kit/guests/narrow-program";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest, withGuests } from "../kit/lab/guest-machine";

const ENABLED = ["[syscalls]", "enabled = yes", "processes = new"];

/** Makes calls whose descriptors and options have bits that the kernel ignores, and one of 32 bits. */
const IGNORED_BITS = `
  .globl _start
_start:
  mov $2, %eax; lea path(%rip), %rdi; mov $0x41, %esi; mov $0600, %edx
  syscall
  movabs $0x700000000, %rbx
  or %rax, %rbx
  mov $1, %eax; mov %rbx, %rdi; lea path(%rip), %rsi; mov $1, %edx
  syscall
  movabs $0x200000000, %rdi
  or %rdi, %rbx
  mov $1, %eax; mov %rbx, %rdi; lea path(%rip), %rsi; mov $1, %edx
  syscall
  mov $157, %eax; movabs $0x30000000f, %rdi; lea name(%rip), %rsi
  syscall
  mov $15, %eax; mov $path, %ebx; mov $0711, %ecx
  int $0x80
  mov $60, %eax; xor %edi, %edi
  syscall
path: .asciz "/tmp/ignored"
name: .asciz "renamed"`;

interface Recorded {
  readonly processes: readonly {
    readonly pid: number;
    readonly name: string;
    readonly calls: Readonly<Record<string, number>>;
  }[];
  readonly recorded: number;
  readonly cut: number;
}

test("a program's system calls are recorded with names, values and texts as the program says itself, and counted", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const analysis = await startModules(lab, ENABLED, guest);
    const output = await execute("calls 3 & echo pid $!; wait");
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("syscalls").errors], [[], []]);
    const pid = /^pid (\d+)$/m.exec(output)![1]!;
    const lines = analysis.read("syscalls.log").split("\n");
    const own = lines.map((line) => line.replace(/^\d+\.\d{3} /, "")).filter((line) => line.startsWith(`${pid} `));
    const said = [...output.matchAll(/^rebox-act: \d+ call \d+ (\w+\(.*\))$/gm)].map(
      ([, call]) => `${pid} calls ${call}`,
    );
    assert.ok(said.length >= 24, output);
    const missing = said.filter((call) => !own.includes(call));
    assert.deepEqual(missing, []);
    const { processes, recorded, cut } = JSON.parse(analysis.read("syscalls.json")) as Recorded;
    assert.deepEqual([recorded, cut], [lines.length - 1, 0]);
    const { calls } = processes.find((process) => process.pid === Number(pid))!;
    const count = (name: string) => own.filter((line) => new RegExp(`^\\d+ \\S+ ${name}\\(`).test(line)).length;
    for (const name of ["openat", "linkat", "fchownat", "truncate", "write"])
      assert.equal(calls[name], count(name), name);
  });
});

test("files that are written, renamed and removed, and connections, become events; what failed does not", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("ip link set lo up");
    // Until it listens, which is an act of its own.
    await execute(
      "nc -l -p 7001 < /dev/null > /dev/null & until cat /proc/net/tcp* | grep -q :1B59; do sleep 0.1; done",
    );
    const analysis = await startModules(lab, ENABLED, guest);
    const lines = [
      ...["mkdir /tmp/sub", "cd /tmp/sub", "/bin/echo one > made", "/bin/mv made '/tmp/a <b>'", "/bin/rm '/tmp/a <b>'"],
      ...["/bin/rm none", "/bin/cat none", "/bin/nc 127.0.0.1 7001 < /dev/null", "/bin/nc 127.0.0.1 7002 < /dev/null"],
    ];
    await execute(`printf '%s\\n' ${lines.map((line) => `"${line}"`).join(" ")} > /tmp/acts.sh`);
    await execute("/bin/sh /tmp/acts.sh");
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("syscalls").errors], [[], []]);
    const acts = analysis.events.filter(({ type }) => /^(file|network)\./.test(type));
    const shown = acts.map(({ time: _time, sequence: _sequence, pid: _pid, process: _process, type, ...facts }) => ({
      type,
      ...facts,
    }));
    assert.deepEqual(shown, [
      { type: "file.made", path: "/tmp/sub", kind: "folder" },
      // Emptied by the shell, and written by the program that it starts.
      { type: "file.written", path: "/tmp/sub/made" },
      { type: "file.written", path: "/tmp/sub/made" },
      { type: "file.renamed", path: "/tmp/sub/made", to: "/tmp/a <b>" },
      { type: "file.removed", path: "/tmp/a <b>" },
      { type: "network.connected", protocol: "tcp", address: "127.0.0.1", port: 7001 },
      { type: "network.failed", protocol: "tcp", address: "127.0.0.1", port: 7002, error: 111 },
    ]);
    assert.deepEqual(acts.map(({ process }) => process), ["sh", "sh", "echo", "mv", "rm", "nc", "nc"]); // prettier-ignore
  });
});

test("neither bits that the kernel ignores nor system calls of 32 bits hide an act", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await writeProgram(execute, "/tmp/ignores", assembleProgram(IGNORED_BITS));
    await writeProgram(execute, "/tmp/narrow32", NARROW_PROGRAM.assemble("/tmp"));
    await execute("ip link set lo up");
    const analysis = await startModules(lab, ENABLED, guest);
    await execute("/tmp/ignores; /tmp/narrow32; echo narrow $?");
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("syscalls").errors], [[], []]);
    const narrow = analysis.events.filter(({ process }) => process === "narrow32");
    assert.deepEqual(narrow.map(({ time: _time, sequence: _sequence, pid: _pid, process: _process, type, ...facts }) => ({ type, ...facts })), NARROW_PROGRAM.listActs("/tmp")); // prettier-ignore
    const acts = analysis.events.filter(({ process }) => process === "ignores");
    assert.deepEqual(acts.map(({ type, path, name }) => [type, path ?? name]), [["file.written", "/tmp/ignored"], ["process.renamed", "renamed"], ["file.mode", "/tmp/ignored"]]); // prettier-ignore
  });
});

test("modes, owners, times, links, folders, mounts, signals, namespaces and waiting for connections are acts too", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("ip link set lo up");
    const analysis = await startModules(lab, ENABLED, guest);
    const lines = [
      ...[
        "cd /tmp",
        "/bin/mkdir 'a b'",
        "/bin/touch s",
        "/bin/chmod 4755 s",
        "/bin/chown 12:34 s",
        "/bin/chmod 700 no-such",
      ],
      ...["/bin/ln s hard", "/bin/ln -s /etc/shadow soft", "/bin/touch -d '2001-02-03 04:05' s", "/bin/mknod pipe p"],
      ...[
        "/bin/mount -t tmpfs nothing 'a b'",
        "/bin/sleep 100 & echo sleeper=\\$!; /bin/kill -9 \\$!",
        "/bin/unshare -n true",
      ],
      "/bin/timeout 1 /bin/nc -l -p 7003 < /dev/null",
    ];
    await execute(`printf '%s\\n' ${lines.map((line) => `"${line}"`).join(" ")} > /tmp/acts.sh`);
    const output = await execute("/bin/sh /tmp/acts.sh");
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("syscalls").errors], [[], []]);
    const sleeper = Number(/^sleeper=(\d+)/m.exec(output)![1]);
    const shown = analysis.events
      .filter(
        ({ type }) => /^(file|network|process|kernel)\./.test(type) && !/process\.(created|executed|ended)/.test(type),
      )
      .map(({ time: _time, sequence: _sequence, pid: _pid, process: _process, type, ...facts }) => ({
        type,
        ...facts,
      }));
    const expected = [
      { type: "file.made", path: "/tmp/a b", kind: "folder" },
      { type: "file.mode", path: "/tmp/s", mode: "4755" },
      { type: "file.owner", path: "/tmp/s", uid: 12, gid: 34 },
      { type: "file.linked", path: "/tmp/s", to: "/tmp/hard" },
      { type: "file.linked", path: "/etc/shadow", to: "/tmp/soft", kind: "symbolic" },
      { type: "file.times", path: "/tmp/s" },
      { type: "file.made", path: "/tmp/pipe", kind: "pipe" },
      { type: "file.mounted", path: "/tmp/a b", from: "nothing", kind: "tmpfs" },
      { type: "process.signalled", target: sleeper, signal: 9 },
      { type: "process.namespaces", made: ["network"] },
      { type: "network.listening", protocol: "tcp", address: "::", port: 7003 },
    ];
    for (const act of expected) {
      const found = shown.filter((one) => JSON.stringify(one) === JSON.stringify(act));
      assert.ok(found.length >= 1, `${JSON.stringify(act)} is among ${JSON.stringify(shown, undefined, 1)}`);
    }
    assert.ok(!JSON.stringify(shown).includes("no-such"), "what failed is no act");
  });
});

test("a guest that calls without end does not fill the disk; only the calls that are wanted are recorded", async () => {
  await withGuests({ names: ["a", "b"] }, async ([a, b]) => {
    await Promise.all([a!.execute("true"), b!.execute("true")]);
    const [first, second] = await Promise.all([
      startModules(a!.lab, [...ENABLED, "most_bytes = 2000", "most_acts = 2"], a!.guest),
      startModules(b!.lab, [...ENABLED, "calls = getpid, unlink, newuname"], b!.guest),
    ]);
    await a!.execute("/bin/sh -c 'for i in 1 2 3 4 5; do /bin/echo > /tmp/$i; done'");
    await b!.execute("/bin/uname -r");
    await Promise.all([stopModules(first), stopModules(second)]);
    assert.ok(first.read("syscalls.log").length < 3000);
    const { recorded, cut, processes } = JSON.parse(first.read("syscalls.json")) as Recorded;
    const made = processes.flatMap(({ calls }) => Object.values(calls)).reduce((sum, count) => sum + count, 0);
    assert.ok(cut > 0);
    assert.equal(recorded + cut, made);
    assert.equal(first.eventsOf("file.written").length, 2);
    assert.deepEqual(first.log, [
      "warn: syscalls: 2 acts of the system are told, and no more (most_acts)",
      `warn: syscalls: ${cut} calls more than fit into 2000 bytes (most_bytes)`,
    ]);
    const names = second.read("syscalls.log").trim().split("\n").map((line) => /^\S+ \d+ uname (\w+)\(/.exec(line)?.[1]); // prettier-ignore
    assert.deepEqual([...new Set(names)], ["newuname"]);
  });
});
