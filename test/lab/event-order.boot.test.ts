import assert from "node:assert/strict";
import { test } from "node:test";
import { orderEvents } from "../../src/lab/analysis/order-events";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest } from "../kit/lab/guest-machine";

const SETTINGS = ["[processes]", "enabled = yes", "[syscalls]", "enabled = yes", "processes = new"];
const ROUNDS = 60;
/** Each round opens a file, forks and executes, connects in that process, and removes the file. */
const PROGRAM = [
  `i=0; while [ $i -lt ${ROUNDS} ]; do i=$((i+1))`,
  "echo > /tmp/order-$i; /bin/nc 127.0.0.1 $((2000+i)) < /dev/null; rm /tmp/order-$i; done 2> /dev/null",
].join("; ");

test("events stand in the order in which the guest's program did them, though two observers tell of them", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const analysis = await startModules(lab, SETTINGS, guest);
    await execute(`/bin/sh -c '${PROGRAM}'`);
    await stopModules(analysis);
    assert.deepEqual(analysis.log, []);
    orderEvents(analysis.folder);
    const seen: string[] = [];
    const rounds = new Map<number, string>();
    for (const { type, pid, name, path, port, commandLine, executable } of analysis.events) {
      const [, round] = /^\/tmp\/order-(\d+)$/.exec(typeof path === "string" ? path : "") ?? [];
      if (round !== undefined) seen.push(`${round} ${type}`);
      else if (
        type === "process.executed" &&
        executable === "/bin/busybox" &&
        /^\/bin\/nc /.test(String(commandLine))
      ) {
        rounds.set(pid as number, String(Number(/ (\d+)$/.exec(String(commandLine))![1]) - 2000));
        seen.push(`${rounds.get(pid as number)} executed`);
      } else if (type.startsWith("network.")) seen.push(`${Number(port) - 2000} connected`);
      else if (type === "process.ended" && rounds.has(pid as number) && name === "nc")
        seen.push(`${rounds.get(pid as number)} ended`);
    }
    const expected = Array.from({ length: ROUNDS }, (_, index) =>
      ["file.written", "executed", "connected", "ended", "file.removed"].map((what) => `${index + 1} ${what}`),
    ).flat();
    assert.deepEqual(seen, expected);
    const sequences = analysis.events.flatMap(({ sequence }) => sequence ?? []);
    assert.ok(sequences.length > ROUNDS * 5);
    assert.deepEqual(
      sequences,
      [...new Set(sequences)].toSorted((one, other) => one - other),
    );
  });
});
