import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { listKits } from "../kit/guests/guest-kits";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

test("attaching fails clearly until the kernel has started, succeeds then, and once more after a reset", async () => {
  const run = await runGuest({
    task: "idle",
    boots: true,
    script: () => `
      import { AttachError, Engine, findGuest, getGuest, waitForGuest } from "rebox";
      export function initialize_callbacks(_: number, print: (text: string) => void): void {
        void follow(print);
      }
      async function follow(print: (text: string) => void): Promise<void> {
        const seen = new Set<string>();
        const look = () => {
          try {
            getGuest();
            return true;
          } catch (error) {
            if (!(error instanceof AttachError)) throw error;
            seen.add(error.isEarly + " " + /^no kernel yet/.test(error.message));
            return false;
          }
        };
        for (let boot = 0; boot < 2; boot++) {
          // In each state that the guest goes through, as often as the event loop allows.
          while (!look()) await new Promise((resolve) => setTimeout(resolve, 5));
          const guest = await waitForGuest();
          // The first process is named swapper/0 until it executes init.
          const { pid, name } = guest.getProcessList()[0]!;
          print(guest.kernel.release + " " + pid + " " + /^(init|swapper\\/0)$/.test(name) + " " + [...seen].join());
          seen.clear();
          await Engine.get().reset();
          while (findGuest() !== undefined) await new Promise((resolve) => setTimeout(resolve, 1));
        }
        await Engine.get().quit();
      }
      export const clean = (): void => {};
    `,
    // Without -no-reboot, which the tests' machine has, a reset starts it anew.
    qemuArgs: ["-action", "reboot=reset"],
    timeoutMs: 180_000,
  });
  assert.equal(run.stderr, "");
  const [first, second] = run.messages;
  assert.match(first ?? "", /^\d+\.\d+\S* 1 true true true$/);
  assert.equal(second, first);
});

test("the cache makes the second attach to a kernel faster, and a damaged cache does no harm", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-cache-"));
  const attach = async (): Promise<string[]> => {
    const run = await runGuest({
      task: "idle",
      env: { XDG_CACHE_HOME: folder },
      script: () => `
        import { Engine, symToVa, waitForGuest } from "rebox";
        export function initialize_callbacks(_: number, print: (text: string) => void): void {
          void waitForGuest().then(async (guest) => {
            print(guest.kernel.banner);
            print(String(guest.getProcessList().some(({ name }) => name === "kthreadd")));
            print(String(symToVa(0n, "kernel", "commit_creds") !== undefined));
            await Engine.get().quit();
          });
        }
        export const clean = (): void => {};
      `,
    });
    assert.equal(run.stderr, "");
    return [...run.messages];
  };
  try {
    const cold = await attach();
    const [file] = execFileSync("ls", [join(folder, "rebox/kernels")], { encoding: "utf8" })
      .trim()
      .split("\n");
    assert.match(file ?? "", /^64-[0-9a-f]+-[0-9a-f]{40}\.json$/);
    assert.match(cold[0] ?? "", /^Linux version /);
    assert.deepEqual(cold.slice(1), ["true", "true"]);
    assert.deepEqual(await attach(), cold);
    writeFileSync(join(folder, "rebox/kernels", file!), '{"format":1,"kallsyms":{}}');
    assert.deepEqual(await attach(), cold);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("structs are read by their members' names, lists and trees are walked, and a missing member is named", async () => {
  const run = await runGuest({
    task: "idle",
    script: () => `
      import { Engine, MissingTypeError, symToVa, waitForGuest } from "rebox";
      export function initialize_callbacks(_: number, print: (text: string) => void): void {
        void waitForGuest().then(async (guest) => {
          const idle = guest.struct("task_struct", symToVa(0n, "kernel", "init_task")!);
          const list = [...guest.list(idle.tasks, "task_struct", "tasks")];
          print(idle.comm + " " + idle.pid + " " + idle.mm + " " + idle.cred.uid.val + " " + typeof idle.se.sum_exec_runtime);
          print(String(list.map(({ pid }) => pid).join() === guest.getProcessList().map(({ pid }) => pid).join()));
          print(String(guest.addressOf(list[0]!) === guest.getProcessList()[0]!.kaddr));
          print(list[0]!.mm.exe_file.f_path.dentry.d_parent.d_parent.d_parent.d_name.len + " " + list[1]!.comm);
          for (const ask of [() => idle.commm, () => guest.struct("task_structure", 0n), () => { idle.pid = 1; }]) {
            try {
              print(String(ask()));
            } catch (error) {
              print((error instanceof MissingTypeError) + " " + (error as Error).message);
            }
          }
          await Engine.get().quit();
        });
      }
      export const clean = (): void => {};
    `,
  });
  assert.equal(run.stderr, "");
  assert.deepEqual(run.messages, [
    "swapper/0 0 null 0 bigint",
    "true",
    "true",
    "1 kthreadd",
    "true struct task_struct has no member commm in the kernel's BTF",
    "true there is no struct task_structure in the kernel's BTF",
    "false task_struct.pid cannot be assigned: write memory with writeVa()",
  ]);
});

/** Of the kernels at hand, one that has its file systems as modules. */
const MODULAR = listKits().find((kit) => kit.architecture === "amd64" && !kit.package.includes("cloud"));

test(
  "a kernel module's own types continue those of the kernel",
  { skip: !MODULAR && "no kernel with modules" },
  async () => {
    const run = await runGuest({
      task: "zoo",
      kit: MODULAR!,
      qemuArgs: ["-m", "512"],
      parameters: { kallsyms: 0 },
      reports: true,
      script: (serial) => `
      import { Engine, getGuest } from "rebox";
      ${scriptPrelude(serial)}
      export function initialize_callbacks(_: number, print: (text: string) => void): void {
        void untilTruth("zoo.reported").then(async () => {
          const guest = getGuest();
          const module = guest.getKernelModules().find(({ name }) => name === "jbd2")!;
          const types = guest.getModuleTypes("jbd2");
          const revoke = types.findCompound("jbd2_revoke_record_s")!;
          print(revoke.members.map(({ name, type }) => name + " " + type.kind + " " + type.size).join());
          print(String(guest.kernel.types.findCompound("jbd2_revoke_record_s") === undefined));
          print(guest.struct("module", module.kaddr, types).name);
          try {
            guest.getModuleTypes("nothing");
          } catch (error) {
            print((error as Error).message);
          }
          await Engine.get().quit();
        });
      }
      export const clean = (): void => {};
    `,
    });
    assert.equal(run.stderr, "");
    assert.deepEqual(run.messages, [
      // fs/jbd2/revoke.c: struct list_head hash; tid_t sequence; unsigned long long blocknr;
      "hash struct 16,sequence integer 4,blocknr integer 8",
      "true",
      "jbd2",
      "no kernel module nothing is loaded",
    ]);
  },
);

test("symbols of a program and its libraries lead to their addresses and back", async () => {
  const run = await runGuest({
    task: "zoo",
    parameters: { kallsyms: 0 },
    reports: true,
    script: (serial) => `
      import { Engine, getModuleList, getProcessList, getSymbolList, symToVa, vaToSym } from "rebox";
      ${scriptPrelude(serial)}
      export function initialize_callbacks(_: number, print: (text: string) => void): void {
        void untilTruth("zoo.reported").then(async () => {
          const { pgd } = getProcessList().find(({ name }) => name === "greeter")!;
          for (const { name, base } of getModuleList(pgd)) print(name + " 0x" + base.toString(16));
          const address = symToVa(pgd, "libc.so.6", "getpid")!;
          print("getpid 0x" + address.toString(16));
          const found = vaToSym(pgd, address + 1n)!;
          print(found.module + " " + (found.address === address) + " " + getSymbolList(pgd, "getpi?").map(({ name }) => name).join());
          await Engine.get().quit();
        });
      }
      export const clean = (): void => {};
    `,
  });
  assert.equal(run.stderr, "");
  const pid = [...run.report.list("/proc")].find((name) => run.report.find(`/proc/${name}/comm`) === "greeter\n");
  const maps = run.report.lines(`/proc/${pid}/maps`).map((line) => line.split(/ +/));
  const code = [
    ...new Set(maps.filter(([, permissions]) => permissions!.includes("x")).map(([, , , , , path]) => path!)),
  ];
  const bases = code
    .filter((path) => path !== "[vsyscall]")
    .map((path) => {
      const [first] = maps.filter((line) => line[5] === path);
      return `${path.split("/").at(-1)} 0x${first![0]!.split("-")[0]!.replace(/^0+/, "")}`;
    });
  assert.deepEqual(run.messages.slice(0, -2), bases);
  assert.match(run.messages.at(-1) ?? "", /^libc\.so\.6 true (.*,)?getpid(,.*)?$/);
});
