import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { transformSync } from "esbuild";
import { ControlClient } from "../../src/shell/line/control-client";
import { runGuest, runRebox, scriptPrelude } from "../kit/guests/guest-run";
import { answerLines, listPartial, readElfParts } from "../kit/systems/image-run";
import { type ShellRun, withShell } from "../kit/terminal/shell-run";
import { BUILT, PROJECT } from "../kit/project";

/** So much that a compressed dump takes its time. */
const LARGE = ["-m", "6144"];

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-dump-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function stateOf({ data }: ShellRun): Promise<string> {
  return (await data<{ state: string }>("status")).state;
}

/**
 * Starts a long dump, acts while the guest stands still for it, and returns how it ended. A host may be so fast that it is
 * over before: then once more.
 */
async function disturb(
  dumper: ControlClient,
  observer: ControlClient,
  file: string,
  act: () => unknown,
): Promise<string> {
  for (;;) {
    const answer = dumper.run(`dump_memory ${file} --zstd`);
    let isOver = false;
    void answer.finally(() => (isOver = true));
    while (!isOver && (await stateBy(observer)) !== "paused");
    if (!isOver) await act();
    const { error } = await answer;
    if (error !== undefined) return error;
    rmSync(file);
    // What came too late to stop the dump has paused the guest.
    await observer.run("cont");
  }
}

async function stateBy(client: ControlClient): Promise<string | undefined> {
  const { text = "" } = (await client.run("status")) as { text?: string };
  return /^the guest is (\w+)/.exec(text)?.[1];
}

test("rebox dump writes an image, and the guest goes on; what is in the way is refused, and the guest goes on too", async () => {
  await withFolder(async (folder) => {
    await withShell({ task: "busy" }, async (run) => {
      await run.truth("busy");
      const file = join(folder, "an image.elf");
      const first = await runRebox(["dump", run.socket, file, "--json"], 60_000);
      assert.equal(first.status, 0, first.stderr);
      const { data } = JSON.parse(first.stdout) as { data: { path: string; memorySize: number; fileSize: number } };
      const size = readElfParts(file).reduce((sum, part) => sum + part.size, 0);
      assert.deepEqual([data.path, data.memorySize], [file, size]);
      assert.equal(await stateOf(run), "running");

      const second = await runRebox(["dump", run.socket, file], 60_000);
      assert.deepEqual([second.status, second.stdout], [1, ""]);
      assert.match(
        second.stderr,
        /an image\.elf: the file exists: choose another name, or have it replaced \(--force\)/,
      );
      writeFileSync(file, "old");
      assert.equal((await runRebox(["dump", run.socket, file, "--force", "--zstd"], 60_000)).status, 0);
      assert.equal(readFileSync(file).readUInt32LE(0), 0xfd2fb528);

      const nowhere = join(folder, "no/such/folder.elf");
      assert.match(await run.error(`dump ${nowhere}`), /there is no such file or folder; no file was left$/);
      mkdirSync(join(folder, "taken"));
      symlinkSync("/dev/null", join(folder, "link"));
      for (const name of ["taken", "link"]) {
        assert.match(await run.error(`dump ${join(folder, name)} --force`), /there is something else than a file/);
      }
      assert.match(
        await run.error(`dump ${folder}/x --format vmdk`),
        /there is no format vmdk: it is one of raw, elf, lime/,
      );
      assert.match(await run.error(`dump ${folder}/x --fast`), /has no use for "--fast"/);
      assert.match(await run.error("dump_memory"), /needs a file/);
      const lost = await runRebox(["dump", join(folder, "nobody"), join(folder, "x")], 60_000);
      assert.deepEqual([lost.status, lost.stderr.includes("nobody listens there")], [1, true]);
      assert.equal(await stateOf(run), "running");
      assert.deepEqual(readdirSync(folder).sort(), ["an image.elf", "link", "taken"]);

      await run.text("pause");
      await run.text(`dump ${join(folder, "paused.lime")} --format lime`);
      assert.equal(await stateOf(run), "paused");
      await run.text("cont");
      const [live, other] = await Promise.all([
        run.text(`dump ${join(folder, "live.raw")} --format raw --live`),
        ControlClient.connect(run.socket).then(async (client) => {
          const answer = (await client.run(`dump ${join(folder, "other.elf")}`)) as { text?: string };
          client.close();
          return answer.text ?? "";
        }),
      ]);
      assert.match(live!, /live\.raw: 256 MiB of memory, raw, 256 MiB$/);
      assert.match(other, /other\.elf: 256 MiB of memory, elf/);
      assert.equal(await stateOf(run), "running");
    });
  });
});

test("a disk that is full leaves no file, a clear error, and the guest running", async () => {
  await withFolder(async (folder) => {
    // The limit on a file's size stands for the disk's: the system refuses to write on in the same way.
    const script = (serial: string) => `
      ${scriptPrelude(serial)}
      import { execFileSync } from "node:child_process";
      import { Engine } from "rebox";
      import { dumpMemory } from "rebox/trusted";
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        const engine = Engine.get();
        void (async () => {
          // Zeros alone would be compressed to nearly nothing.
          await untilTruth("busy");
          execFileSync("prlimit", ["--fsize=1048576", "--pid", String(process.pid)]);
          for (const options of [{}, { isCompressed: true }]) {
            await dumpMemory(${JSON.stringify(join(folder, "x"))}, options).catch((error) => print(error.name + " " + error.message));
          }
          print(engine.state);
          await engine.quit();
        })();
      }
      export const clean = (): void => {};`;
    const run = await runGuest({ task: "busy", script });
    const message = `ImageError ${join(folder, "x")}: the file would be larger than the file system, or a limit (ulimit -f), allows; no file was left`;
    assert.deepEqual(run.messages, [message, message, "running"], run.stderr);
    assert.deepEqual(readdirSync(folder), []);
  });
});

test("a dump is stopped by Ctrl-C, by the end of its shell, by whoever continues the guest, and by the machine's end", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "x.zst");
    const ended = await withShell({ task: "busy", qemuArgs: LARGE }, async (run) => {
      await run.truth("busy");
      const { client } = run;
      const other = await ControlClient.connect(run.socket);
      const interrupted = await disturb(client, other, file, () => client.interrupt());
      assert.match(interrupted, /x\.zst: the dump was stopped; no file was left$/);
      assert.equal(await stateBy(other), "running");

      const continued = await disturb(client, other, file, () => other.run("cont"));
      assert.match(continued, /x\.zst: somebody has continued the guest meanwhile: no file was left$/);
      assert.deepEqual(readdirSync(folder), []);

      const third = await ControlClient.connect(run.socket);
      assert.match(await disturb(third, other, file, () => third.close()), /the engine has ended the connection/);
      while (listPartial(folder).length > 0 || (await stateBy(other)) !== "running") await sleep(20);

      const last = await disturb(client, other, file, () => other.run("quit machine"));
      assert.match(last, /the machine has ended|the engine has ended the connection/);
      other.close();
    });
    assert.equal(ended.status, 0, ended.stderr);
    assert.deepEqual(readdirSync(folder), []);
  });
});

test("a shell on an image refuses what needs a machine that lives, and says so", async () => {
  await withFolder(async (folder) => {
    const [elf, lime] = [join(folder, "x.elf"), join(folder, "x.lime")];
    await withShell({ task: "busy" }, async (run) => {
      await run.truth("busy");
      await run.text(`dump ${elf}`);
      await run.text(`dump ${lime} --format lime`);
      await run.text(`dump ${lime}.zst --format lime --zstd`);
    });
    const living = ["step", "cont", "pause", "bp kernel!schedule", "eb p1000=1", "hmp info status", "iorb 71", "mon 1"];
    living.push("import x", "savevm x", "loadvm x", `dump_memory ${folder}/again.elf`);
    const refused = answerLines(elf, [
      ...living,
      "r rax=1",
      "!writePa(0n, Buffer.alloc(1))",
      `dump ${folder}/again.elf`,
    ]);
    const reasons = refused.map(({ error }) => error ?? "no error");
    living.forEach((line, index) => {
      assert.match(
        reasons[index]!,
        /needs a machine that lives: this is the image .*x\.elf, which can be read only$/,
        line,
      );
    });
    const [register, memory, dump] = reasons.slice(living.length);
    assert.match(register!, /x\.elf is an image of a machine's memory: it can be read only$/);
    assert.match(memory!, /x\.elf is an image of a machine's memory: it can be read only$/);
    assert.match(dump!, /x\.elf is an image already: copy the file$/);
    const [status, words, ...without] = answerLines(lime, ["status", "dd p0:4", "r", "bt", "dis", "setcpu 0"]);
    assert.equal((status!.data as { state: string }).state, "image");
    assert.equal((words!.data as { values: string[] }).values.length, 4);
    const none = "this image holds memory alone, no registers";
    assert.deepEqual(
      without.map(({ error }) => error),
      [none, none, none, "there is no vCPU 0: the machine has 0, numbered from 0"],
    );
    assert.equal(existsSync(join(folder, "again.elf")), false);

    const open = async (path: string, env: NodeJS.ProcessEnv = {}) => {
      const run = await runRebox(["shell", "--image", path, "ps"], 120_000, undefined, env);
      assert.deepEqual([run.status, run.stdout], [1, ""], run.stderr);
      return run.stderr.replace(/^rebox: expanding, .*\n/gm, "");
    };
    const packed = readFileSync(`${lime}.zst`);
    const bad = join(folder, "bad.zst");
    writeFileSync(bad, packed.subarray(0, packed.length - 1000));
    assert.match(
      await open(bad),
      /^rebox: .*bad\.zst: the compressed image is damaged or cut off: the file ends within a frame$/m,
    );
    writeFileSync(bad, Buffer.concat([packed, Buffer.from("and more")]));
    assert.match(
      await open(bad),
      /^rebox: .*bad\.zst: the compressed image is damaged or cut off: Unknown frame descriptor$/m,
    );
    const middle = packed.length >> 1;
    packed.fill(0x55, middle, middle + 64);
    writeFileSync(bad, packed);
    assert.match(await open(bad), /^rebox: .*bad\.zst: the compressed image is damaged or cut off: /m);
    const temporary = join(folder, "tmp");
    mkdirSync(temporary);
    assert.notEqual(await open(bad, { TMPDIR: temporary }), "");
    assert.deepEqual(readdirSync(temporary), []);
    assert.match(await open(folder), /: this is no file$/m);
    assert.match(await open(join(folder, "nothing")), /nothing: there is no such file or folder$/m);
    writeFileSync(bad, "");
    truncateSync(bad, 100 * 2 ** 30);
    assert.match(await open(bad), /no Linux kernel found \(page-tables\): nowhere in the image is a page table/);
  });
});

test("cores of other programs: with general registers alone, and with registers that lead nowhere", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "x.elf");
    await withShell({ task: "busy" }, async (run) => {
      await run.truth("busy");
      await run.text(`dump ${file}`);
    });
    const bytes = readFileSync(file);
    const [whole] = answerLines(file, ["r rip"]);
    const [first] = readElfParts(file);
    /** Where a note's content is: behind its name, which is padded to 8 bytes. */
    const find = (name: string) => bytes.subarray(0, first!.offset).indexOf(`${name}\0`, 0, "latin1") + 8;
    const own = find("REBOX");
    const qemu = find("QEMU");
    bytes.write("OTHER", own - 8, "latin1");
    // QEMUCPUState: CR3 is at 416, behind 18 registers, 10 segments and CR0 to CR2.
    bytes.writeBigUInt64LE(0x123000n, qemu + 416);
    writeFileSync(file, bytes);
    const [misled, instruction] = answerLines(file, ["ps 1", "r rip"]);
    assert.equal((misled!.data as { name: string }[])[0]!.name, "init");
    assert.deepEqual(instruction, whole);

    bytes.write("OTHE", qemu - 8, "latin1");
    writeFileSync(file, bytes);
    const [general, processes, code, control] = answerLines(file, ["r rip", "ps 1", "u kernel!schedule:1", "r cr3"]);
    assert.deepEqual(general, whole);
    assert.equal((processes!.data as { name: string }[])[0]!.name, "init");
    assert.equal((code!.data as { symbol: string }[])[0]!.symbol, "kernel!schedule");
    assert.equal(control!.error, "this image does not hold CR3");
  });
});

test("every example of docs/guides/images.md works", async () => {
  const page = readFileSync(join(PROJECT, "docs/guides/images.md"), "utf8");
  const lines = [...page.matchAll(/^ {4}\$ rebox (.*)$/gm)].map(([, line]) => line!);
  assert.ok(lines.length >= 6);
  await withFolder(async (folder) => {
    const carryOut = (line: string) => {
      const words = [...line.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);
      return runRebox(words, 60_000, undefined, {}, folder);
    };
    await withShell({ task: "busy" }, async (run) => {
      await run.truth("busy");
      symlinkSync(run.socket, join(folder, "guest.sock"));
      for (const line of lines.filter((one) => one.startsWith("dump"))) {
        const { status, stderr } = await carryOut(line);
        assert.equal(status, 0, `${line}: ${stderr}`);
      }
    });
    for (const line of lines.filter((one) => one.startsWith("shell"))) {
      const { status, stdout, stderr } = await carryOut(line);
      assert.equal(status, 0, `${line}: ${stderr}`);
      assert.match(stdout, /init|sched_clock/, line);
    }
    const [, source] = /```ts\n(import [^`]*openImage.*?)```/s.exec(page)!;
    const { code } = transformSync(source!, { loader: "ts", format: "cjs" });
    const program = code.replace(/"rebox(\/trusted)?"/g, (_, door) =>
      JSON.stringify(join(BUILT, `src/doors/${door ? "trusted" : "rebox"}.js`)),
    );
    writeFileSync(join(folder, "program.js"), program);
    const shown = execFileSync(process.execPath, ["program.js"], { cwd: folder, encoding: "utf8" });
    assert.match(shown, /^elf \d+ 1 4\n1 init\n/);
  });
});
