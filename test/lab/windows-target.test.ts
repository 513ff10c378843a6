import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readWindowsFormat } from "../../src/lab/analysis/target/windows-format";
import { WindowsTarget } from "../../src/lab/analysis/target/windows-target";
import { AGENT_PROGRAM, parseAgentEnd } from "../../src/lab/ways/agent-program";
import { WindowsAgent } from "../../src/lab/ways/windows-agent";
import { inFolder } from "../kit/in-folder";
import { type AgentTraits, NEEDS_PYTHON, withAgent } from "../kit/lab/stand-in-agent";

const signal = new AbortController().signal;
const FOLDER = "C:\\Users\\ADMINI~1\\AppData\\Local\\Temp\\rebox-1a2b";

/** A PE header as winnt.h has it. */
function peFile(characteristics: number): Buffer {
  const bytes = Buffer.alloc(0x100);
  bytes.write("MZ", "latin1");
  bytes.writeUInt32LE(0x80, 0x3c);
  bytes.write("PE\0\0", 0x80, "latin1");
  bytes.writeUInt16LE(characteristics, 0x80 + 22);
  return bytes;
}

const PROGRAM = peFile(0x22);
const LIBRARY = peFile(0x2022);

/** An agent of Windows that executes nothing, and says that all has ended with a status. */
async function withWindowsAgent(
  end: object | undefined,
  use: (port: number, stored: ReadonlyMap<string, string>) => Promise<void>,
  traits: AgentTraits = {},
): Promise<void> {
  const stored = new Map<string, string>();
  const answer = (value: object) => ({ status: 200, text: JSON.stringify(value) });
  const intercept: AgentTraits["intercept"] = (_method, path, fields) => {
    if (path === "/mkdtemp") return answer({ dirpath: FOLDER });
    if (path === "/store") stored.set(fields.get("filepath") ?? "", fields.get("file") ?? "");
    if (path === "/store" || path === "/execpy") return answer({ message: "done", process_id: 7 });
    if (path === "/status") return answer({ status: "running" });
    if (path === "/retrieve") return end === undefined ? { status: 404, text: "{}" } : answer(end);
    return undefined;
  };
  await withAgent({ system: "Windows", intercept, ...traits }, ({ port }) => use(port, stored));
}

const open = (port: number) => WindowsAgent.open({ host: "127.0.0.1", port, isPinned: false }, 10_000, signal);

describe("a target for Windows", () => {
  const cases: readonly (readonly [
    name: string,
    content: Buffer | string,
    inGuest: string,
    words: readonly string[],
  ])[] = [
    ["x.exe", PROGRAM, "x.exe", ["C:\\x.exe", "a b"]],
    ["6f1ed002ab", PROGRAM, "6f1ed002ab.exe", ["C:\\6f1ed002ab.exe", "a b"]],
    ["x.scr", PROGRAM, "x.scr", ["C:\\x.scr", "a b"]],
    ["x.txt", PROGRAM, "x.txt.exe", ["C:\\x.txt.exe", "a b"]],
    ["x", LIBRARY, "x.dll", ["rundll32.exe", "C:\\x.dll,a b"]],
    ["x.bat", "@echo x", "x.bat", ["cmd.exe", "/d", "/c", "C:\\x.bat", "a b"]],
    ["x.js", "1", "x.js", ["wscript.exe", "C:\\x.js", "a b"]],
    ["x.msi", "1", "x.msi", ["msiexec.exe", "/i", "C:\\x.msi", "/qn", "a b"]],
    ["a:b?.doc", "1", "a_b_.doc", ["cmd.exe", "/d", "/c", "start", "/wait", "rebox", "C:\\a_b_.doc", "a b"]],
    ["x.exe", "MZ", "x.exe", ["cmd.exe", "/d", "/c", "start", "/wait", "rebox", "C:\\x.exe", "a b"]],
  ];
  for (const [name, content, inGuest, words] of cases) {
    test(`${name} is executed as ${words[0]} does it`, async () => {
      await inFolder((folder) => {
        writeFileSync(join(folder, name), content);
        const format = readWindowsFormat(join(folder, name));
        assert.equal(format.name, inGuest);
        assert.deepEqual(format.words(`C:\\${inGuest}`, ["a b"]), words);
        assert.equal(format.isProgram, content === PROGRAM);
        return Promise.resolve();
      });
    });
  }
});

describe("an agent on Windows", { skip: NEEDS_PYTHON }, () => {
  test("is given the target and what starts it, and its end is known", async () => {
    await withWindowsAgent({ status: 3, output: "" }, async (port, stored) => {
      await inFolder(async (folder) => {
        writeFileSync(join(folder, "sample"), PROGRAM);
        const asked: unknown[] = [];
        const delivery = {
          ...{ target: join(folder, "sample"), command: undefined },
          start: { args: ["/x"], env: { A: "b" }, workingFolder: "C:\\" },
          openAgent: () => open(port),
          follow: (file: string | undefined, launcher: string) => {
            asked.push(file, launcher);
            return Promise.resolve(undefined);
          },
        };
        const target = await WindowsTarget.deliver(delivery, signal);
        assert.deepEqual(asked, ["rebox-1a2b\\sample.exe", "rebox-1a2b\\run.py"]);
        assert.equal(await target.begin(signal), undefined);
        assert.equal(await target.untilEnd(signal), "the target ended with status 3");
        assert.deepEqual([...stored.keys()], ["run.py", "sample.exe", "request"].map((name) => `${FOLDER}\\${name}`)); // prettier-ignore
        assert.deepEqual(JSON.parse(stored.get(`${FOLDER}\\request`)!), {
          args: [`${FOLDER}\\sample.exe`, "/x"],
          end: `${FOLDER}\\end-1`,
          env: { A: "b", TARGET: `${FOLDER}\\sample.exe` },
          cwd: "C:\\",
        });
      });
    });
  });

  test("is given a command as it is", async () => {
    await withWindowsAgent({ status: 0, output: "" }, async (port, stored) => {
      const follow = () => Promise.resolve(undefined);
      const delivery = { target: undefined, command: 'dir "C:\\a b"', openAgent: () => open(port), follow };
      const target = await WindowsTarget.deliver(delivery, signal);
      await target.begin(signal);
      assert.equal(await target.untilEnd(signal), "the command ended with status 0");
      const { args } = JSON.parse(stored.get(`${FOLDER}\\request`)!) as { args: string };
      assert.equal(args, 'cmd.exe /d /s /c "dir "C:\\a b""');
    });
  });

  test("that cannot start the target is believed", async () => {
    const error = "[WinError 193] %1 is not a valid Win32 application";
    await withWindowsAgent({ error }, async (port) => {
      const follow = () => Promise.resolve(undefined);
      const target = await WindowsTarget.deliver({ target: undefined, command: "x", openAgent: () => open(port), follow }, signal); // prettier-ignore
      await target.begin(signal);
      await assert.rejects(target.untilEnd(signal), { code: "REBOX_TARGET_REFUSED", message: /WinError 193/ });
    });
  });

  test("is refused where another system is meant, and a target cannot have another user", async () => {
    await withWindowsAgent(
      undefined,
      async (port) => {
        await assert.rejects(open(port), { code: "REBOX_WAY_IN", message: /runs on Linux, and its machine has the platform windows/ }); // prettier-ignore
        const delivery = { target: undefined, command: "x", start: { user: "ann" }, openAgent: () => open(port), follow: () => Promise.resolve(undefined) }; // prettier-ignore
        await assert.rejects(WindowsTarget.deliver(delivery, signal), /no other can be chosen/);
      },
      { system: "Linux" },
    );
  });

  test("executes with variables and a folder, by the program that it is given", async () => {
    await inFolder((folder) => {
      mkdirSync(join(folder, "there"));
      const end = join(folder, "end");
      const args = ["sh", "-c", "pwd; echo $OWN $HOME; exit 4"];
      writeFileSync(join(folder, "run.py"), AGENT_PROGRAM);
      const request = { args, end, env: { OWN: "its" }, cwd: join(folder, "there") };
      writeFileSync(join(folder, "request"), JSON.stringify(request));
      execFileSync("python3", [join(folder, "run.py")], { env: { ...process.env, HOME: "/h" } });
      assert.deepEqual(parseAgentEnd(readFileSync(end)), { status: 4, output: `${join(folder, "there")}\nits /h\n` });
      return Promise.resolve();
    });
  });
});
