import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { GdbClient } from "../kit/clients/gdb-client";
import { RecordingFolder } from "../kit/guests/recording-run";
import { getShortRecording } from "../kit/lab/short-recording";
import { REBOX } from "../kit/project";

const LIMIT_MS = 60_000;

/** What a stop is called: SIGTRAP, by whatever breakpoint. */
const STOP = /^T05/;

/** Has gdb itself, where it is installed, execute commands, and tell after each where the guest is. */
async function runGdb(socket: string, commands: readonly string[]): Promise<string[] | undefined> {
  const where = 'printf "at %lx %lx %lx\\n", $rip, $rsp, $rdi';
  const words = ["set architecture i386:x86-64", `target remote ${socket}`, ...commands.flatMap((one) => [one, where])];
  const args = ["-nx", "-batch", ...words.flatMap((word) => ["-ex", word])];
  try {
    const { stdout } = await promisify(execFile)("gdb", args, { timeout: 2 * LIMIT_MS });
    return stdout.match(/^at .*$/gm) ?? [];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

test("gdb goes back in a replay: by an instruction, to a breakpoint, and to the last write of memory", async () => {
  using folder = new RecordingFolder();
  const { folder: recording, instructions } = await getShortRecording();
  const places = await folder.ask(recording, ["goto end", "bp kernel!do_exit", "bpw kernel!jiffies_64:8"]);
  const [code, memory] = places.slice(1).map((text) => /0x([0-9a-f]{16})/.exec(text)?.[1]);

  const [socket, log] = ["gdb", "log.json"].map((name) => folder.place(name)) as [string, string];
  const question = ["--when-executed", code!, "--at", String(instructions - 1000), "--json", log];
  const child = spawn(process.execPath, [REBOX, "replay", recording, "--gdb", socket, ...question], {
    stdio: "inherit",
  });
  try {
    const client = await GdbClient.connect(socket);
    const asked: string[] = [];
    const gdb = {
      request: async (payload: string) => {
        asked.push(payload);
        const answer = await Promise.race([client.request(payload), sleep(LIMIT_MS, undefined, { ref: false })]);
        return answer ?? assert.fail(`no answer to the last of ${asked.join(" ")}`);
      },
    };
    await gdb.request("?");
    const readJiffies = () => gdb.request(`m${memory},8`);
    assert.equal(await gdb.request(`Z0,${code},1`), "OK");
    assert.match(await gdb.request("c"), STOP);
    const first = await gdb.request("g");
    // As gdb does, over the breakpoint itself.
    const goOn = async () => {
      assert.match(await gdb.request("s"), STOP);
      assert.match(await gdb.request("c"), STOP);
    };
    await goOn();
    const second = await gdb.request("g");
    assert.notEqual(first, second);

    assert.match(await gdb.request("bc"), STOP);
    assert.equal(await gdb.request("g"), first, "back at the first exit");
    await goOn();
    assert.equal(await gdb.request("g"), second, "and forward at the second again");

    assert.match(await gdb.request("bs"), STOP);
    const before = await gdb.request("g");
    assert.notEqual(before, second);
    assert.match(await gdb.request("bs"), STOP);
    assert.notEqual(await gdb.request("g"), before);
    assert.match(await gdb.request("s"), STOP);
    assert.equal(await gdb.request("g"), before);

    const now = await readJiffies();
    assert.equal(await gdb.request(`z0,${code},1`), "OK");
    assert.equal(await gdb.request(`Z2,${memory},8`), "OK");
    assert.match(await gdb.request("bc"), STOP);
    assert.notEqual(await readJiffies(), now);
    assert.equal(await gdb.request(`z2,${memory},8`), "OK");
    assert.match(await gdb.request("s"), STOP);
    assert.equal(await readJiffies(), now, "the instruction wrote what was there later");
    assert.match(await gdb.request(`M${memory},1:5a`), /^E/, "memory is not written");
    assert.equal(await readJiffies(), now);
    // By physical addresses, too, and by the monitor.
    assert.equal(await gdb.request("Qqemu.PhyMemMode:1"), "OK");
    const byte = await gdb.request("m7000000,1");
    assert.match(await gdb.request(`M7000000,1:${byte === "5a" ? "00" : "5a"}`), /^E/, "nor by its physical address");
    assert.equal(await gdb.request("m7000000,1"), byte);
    // A register of a device may change by being read: here that of the interrupt controller is not.
    assert.match(await gdb.request("mfec00000,4"), /^E/, "nor is a device read");
    assert.equal(await gdb.request("Qqemu.PhyMemMode:0"), "OK");
    const toHex = (text: string) => Buffer.from(text).toString("hex");
    for (const [address, shown] of [
      ["0xfec00000", "Error: a machine that is recorded or replayed is read where it has RAM or ROM"],
      ["0x7000000", "0000000007000000: 0x"],
    ] as const) {
      assert.match(await gdb.request(`qRcmd,${toHex(`xp /1xb ${address}`)}`), new RegExp(`^O${toHex(shown)}`));
      assert.equal(await client.receive(), "OK");
    }
    assert.match(
      await gdb.request(`qRcmd,${toHex("system_reset")}`),
      new RegExp(`^O${toHex("the machine is recorded")}`),
    );
    assert.equal(await client.receive(), "OK");
    assert.match(await gdb.request(`qRcmd,${toHex("info status")}`), new RegExp(`^O.*${toHex("paused")}`));
    // The count of --at is still one to stop at, and what was told once was not told again.
    assert.match(await gdb.request("c"), /^T0/);
    assert.match(
      await gdb.request(`qRcmd,${toHex("info replay")}`),
      new RegExp(`^O.*${toHex(` = ${instructions - 1000}`)}`),
    );
    const hits = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes('"type":"hit"'));
    const counts = hits.map((line) => (JSON.parse(line) as { count: number }).count);
    assert.ok(counts.length >= 2, `${counts.length} hits`);
    assert.deepEqual(
      counts,
      [...new Set(counts)].toSorted((a, b) => a - b),
    );
    client.close();

    const program = await runGdb(socket, [
      ...[
        `break *0x${code}`,
        "reverse-continue",
        "reverse-stepi",
        "stepi",
        "reverse-continue",
        "continue",
        "reverse-stepi 3",
        "stepi 3",
      ],
    ]);
    if (program === undefined) return;
    const [, there, back, again, earlier, forward, far, near] = program;
    assert.match(there!, new RegExp(`^at ${code} `));
    assert.notEqual(back, there);
    assert.deepEqual([again, forward, near], [there, there, there], program.join("\n"));
    assert.match(earlier!, new RegExp(`^at ${code} `));
    assert.notEqual(earlier, there);
    assert.notEqual(far, back);
  } finally {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  assert.equal(existsSync(socket), false);
});
