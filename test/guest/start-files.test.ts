import assert from "node:assert/strict";
import { test } from "node:test";
import { isReadToExecute, listUnits } from "../../src/guest/scope/start-files";

test("a file is known for what executes it by its reader and its place", () => {
  const cases: readonly (readonly [string, string, readonly string[], string, string | undefined])[] = [
    ["/tmp/x.sh", "sh", ["sh", "/tmp/x.sh"], "cron", "executes"],
    ["/tmp/x.py", "python3", ["/usr/bin/python3", "-u", "x.py"], "sh", "executes"],
    ["/tmp/x.sh", "cat", ["cat", "/tmp/x.sh"], "sh", undefined],
    ["/tmp/x.sh", "sh", ["sh", "/tmp/other.sh"], "sh", undefined],
    ["/root/.bashrc", "bash", ["-bash"], "login", "starts with"],
    ["/etc/profile.d/x.sh", "sh", ["-sh"], "login", "starts with"],
    ["/root/.bashrc", "cp", ["cp", "-r", "/root", "/copy"], "sh", undefined],
    ["/usr/local/lib/libx.so.1", "sshd", ["sshd: root"], "sshd", "loads"],
    ["/var/spool/cron/crontabs/root", "cron", ["/usr/sbin/cron", "-f"], "systemd", "job table"],
    ["/etc/cron.d/x", "rsync", ["rsync"], "sh", undefined],
    ["/var/spool/cron/atjobs/a00001", "atd", ["atd"], "atd", "is the job"],
    ["/var/spool/cron/atjobs/a00001", "atd", ["atd"], "systemd", undefined],
  ];
  for (const [path, name, words, parent, expected] of cases)
    assert.equal(isReadToExecute(path, name, words, parent), expected, `${path} read by ${words.join(" ")}`);
});

test("files of systemd make and change units, a timer's with what it starts", () => {
  assert.deepEqual(listUnits("/etc/systemd/system/x.service"), ["x.service"]);
  assert.deepEqual(listUnits("/root/.config/systemd/user/x.timer"), ["x.timer", "x.service"]);
  assert.deepEqual(listUnits("/etc/systemd/system/ssh.service.d/more.conf"), ["ssh.service"]);
  assert.deepEqual(listUnits("/etc/systemd/system/multi-user.target.wants/x.service"), ["x.service"]);
  assert.deepEqual(listUnits("/etc/systemd/journald.conf"), []);
  assert.deepEqual(listUnits("/home/me/x.service"), []);
});
