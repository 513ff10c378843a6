import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runGuest } from "../kit/guests/guest-run";

/**
 * Prints what a script can learn of the guest, from functions of each kind. The guest stands still after the first await,
 * but two runs of it are two boots: what differs between those (addresses, process ids of short-lived programs) is not printed.
 */
const BODY = `
  import * as rebox from "rebox";
  const attempt = (call: () => unknown): unknown => {
    try {
      return call();
    } catch (error) {
      const { name, symbol, struct, member, what } = error as Record<string, unknown>;
      const Class = (rebox as unknown as Record<string, new () => unknown>)[String(name)];
      return [error instanceof Error, Class !== undefined && error instanceof Class, name, symbol, struct, member, what];
    }
  };
  export function initialize_callbacks(_: number, print: (text: string) => void): void {
    const show = (name: string, value: unknown) =>
      print(name + " " + JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? "n" + item : item)));
    void (async () => {
      const guest = await rebox.waitForGuest();
      show("same", guest === rebox.getGuest() && guest === rebox.findGuest());
      show("kernel", [guest.kernel.release, guest.kernel.banner, guest.kernel.bits, rebox.getOsBits()]);
      // The first program is loaded as a whole: what follows is the same at each later moment.
      const isUp = () => {
        const init = guest.getProcessList().find(({ pid }) => pid === 1);
        if (init === undefined) return false;
        const hasPath = (wanted: string) => init.memoryMap.some(({ path }) => path === wanted);
        return init.commandLine.length > 0 && init.openFiles.length > 2 && hasPath("[vdso]") && hasPath("[stack]");
      };
      while (!isUp()) await new Promise((resolve) => setTimeout(resolve, 5));
      const list = rebox.getProcessList();
      const init = list.find(({ pid }) => pid === 1)!;
      show("processes", list.filter(({ pid }) => pid < 7).map(({ pid, ppid, name, isKernelThread }) => [pid, ppid, name, isKernelThread]));
      show("sorted", list.sort((a, b) => b.pid - a.pid).at(-1)!.pid);
      show("init", [init.tgid, init.uid, init.credentials, init.commandLine, init.executable]);
      show("threads", init.threads.map(({ tid, name }) => [tid, name]));
      show("maps", init.memoryMap.slice(0, 3).map(({ permissions, path, offset }) => [permissions, path, offset]));
      show("files", init.openFiles.slice(0, 3).map(({ descriptor, path, type }) => [descriptor, path, type]));
      show("mounts", init.mounts.slice(0, 1).map(({ device, path, fileSystem }) => [device, path, fileSystem]));
      show("sockets", init.sockets);
      const owners = guest.getSocketOwners();
      show("owners", [owners instanceof Map, guest.getSocketOwners([init]).size, guest.hostName]);
      show("network", [guest.getNetworkInterfaces().map(({ name }) => name), guest.getNeighbours().length]);
      show("started", init.startTime instanceof Date && Math.abs(+init.startTime - +rebox.getSystemTime()) < 600_000);
      show("found", guest.findProcess(init.pgd)?.name);
      show("by number", [rebox.findProcess(1)?.pid, rebox.findProcess(init.pgd)?.pid, guest.findProcess(1)?.name, rebox.findProcess(4000000)]);
      show("no process", attempt(() => rebox.findProcess("1" as never)));
      show("nobody", attempt(() => rebox.getModuleList(0x123000n)));
      const modules = rebox.getModuleList(init.pgd);
      show("modules", modules.map(({ name, path, size, base, contains }) => [name, path, size, contains(base), contains(0n)]));
      show("kernel modules", rebox.getModuleList(0n).map(({ name }) => name));
      const exit = rebox.symToVa(0n, "kernel", "do_exit")!;
      const found = rebox.vaToSym(0n, exit + 4n)!;
      show("symbols", [found.name, found.module, found.size, found.type, found.address === exit]);
      show("no symbol", [rebox.symToVa(0n, "kernel", "no_such_thing"), rebox.vaToSym(0n, 0xfffffffffffffff0n)?.name]);
      const program = modules.find(({ name }) => name === "busybox")!;
      const stripped = rebox.vaToSym(init.pgd, program.base + 0x2345n)!;
      show("stripped", [stripped.name, stripped.module, stripped.offset, stripped.address === program.base, found.offset]);
      show("search", rebox.getSymbolList(0n, "do_exi?").map(({ name, module }) => [name, module]));
      const task = guest.struct("task_struct", init.kaddr);
      show("struct", [task.comm, task.pid, task.tgid, task.real_parent.comm, task.cred.uid.val, "comm" in task, "x" in task]);
      show("pointers", [task.mm.owner.comm, guest.addressOf(task.mm.owner) === init.kaddr, task.mm.pgd !== 0n]);
      show("no pointer", guest.struct("task_struct", list.find(({ pid }) => pid === 2)!.kaddr).mm);
      show("path", task.mm.exe_file.f_path.dentry.d_name.len);
      show("path of", [guest.pathOf(init.openFiles[0]!.kaddr), guest.pathOf(task.mm.exe_file), attempt(() => guest.pathOf(0n))]);
      const start = task.mm.arg_start;
      show("text", [rebox.readText(init.pgd, start), rebox.readText(init.pgd, start, 3), rebox.readText(init.pgd, start, 0)]);
      show("no text", [attempt(() => rebox.readText(init.pgd, 0n)), attempt(() => rebox.readText(init.pgd, start, -1))]);
      show("bytes", [Buffer.from(init.commandLineBytes).toString("latin1"), init.environment.length > 0, init.isAlive]);
      show("array", task.mm.saved_auxv.length);
      show("without a name", typeof task.se.load.weight);
      show("anonymous", Object.keys(guest.struct("page", 0n)).slice(0, 2));
      const children = [...guest.list(guest.struct("task_struct", guest.kernel.symbol("init_task")).children, "task_struct", "sibling")];
      show("list", children.slice(0, 2).map(({ pid, comm }) => [pid, comm]));
      const areas = [...guest.tree(guest.kernel.symbol("vmap_area_root"), "vmap_area", "rb_node")];
      show("tree", [areas.length > 10, areas.every((area, index) => index === 0 || area.va_start >= areas[index - 1]!.va_end)]);
      show("offset", [guest.kernel.offset("task_struct", "comm"), guest.kernel.sizeOf("task_struct")]);
      show("memory", guest.kernel.memory.text(init.kaddr + BigInt(guest.kernel.offset("task_struct", "comm")), 16));
      show("arguments", guest.kernel.space(init.pgd).text(task.mm.arg_start, 64));
      show("log", guest.getKernelLog()[0]!.text);
      show("task", guest.tasks.read(init.kaddr).name);
      show("errors", [
        attempt(() => task.nothing_of_this_name),
        attempt(() => guest.struct("nothing_of_this_name", 0n)),
        attempt(() => guest.kernel.symbol("nothing_of_this_name")),
        attempt(() => guest.struct("task_struct", 0n).comm),
        attempt(() => guest.getModuleTypes("nothing_of_this_name")),
        attempt(() => guest.tasks.read(0n)),
      ]);
    })()
      .catch((error: unknown) => print("failed: " + String(error)))
      .finally(() => rebox.Engine.get().quit());
  }
  export const clean = (): void => {};
`;

describe("what a script learns of a Linux guest", () => {
  test("is the same in the sandbox as outside of it", async () => {
    const messages: (readonly string[])[] = [];
    for (const trust of [true, false]) {
      const run = await runGuest({ task: "idle", script: () => BODY, trust });
      assert.equal(run.stderr, "");
      assert.equal(run.status, 0);
      messages.push(run.messages);
    }
    const [trusted = [], sandboxed = []] = messages;
    assert.ok(trusted.length > 30, trusted.join("\n"));
    assert.deepEqual(sandboxed, trusted);
    // A comparison of two runs that both learned nothing would prove nothing.
    const said = (name: string) => trusted.find((line) => line.startsWith(`${name} `)) ?? "";
    assert.match(said("processes"), /\[2,0,"kthreadd",true\]/);
    assert.match(said("symbols"), /^symbols \["do_exit","kernel",/);
    assert.equal(said("by number"), `by number [1,1,"init",null]`);
    assert.equal(said("stripped"), `stripped ["","busybox",${0x2345},true,4]`);
    assert.match(said("path of"), /^path of \["\/[^"]+","\/bin\/busybox",\[true,true,"KernelDataError",/);
    assert.equal(said("text"), `text ["/bin/sh","/bi",""]`);
    assert.match(said("no text"), /^no text \[\[true,true,"MemoryError",.*\[true,false,"RangeError",/);
    assert.equal(said("bytes"), `bytes ["/bin/sh\\u0000/init\\u0000",true,true]`);
    assert.match(said("errors"), /^errors \[\[true,true,"MissingTypeError",null,"task_struct","nothing_of_this_name"/);
  });
});

test("an event of an opcode has all of its arguments in the sandbox", async () => {
  const script = () => `
    import { ALL_PROCESSES, CallbackManager, Engine, startMonitoringProcess } from "rebox";
    let cm: CallbackManager;
    export function initialize_callbacks(handle: number, print: (text: string) => void): void {
      cm = new CallbackManager(handle);
      startMonitoringProcess(ALL_PROCESSES);
      const name = cm.addCallback("OPCODE_RANGE_CB", (cpuIndex, cpu, pc, nextPc, insnSize) => {
        // CPUID without a prefix has two bytes: 0F A2.
        if (insnSize !== 2) return;
        cm.rmCallback(name);
        print([cpuIndex, cpu.index, nextPc === pc + 2n].join(" "));
        void Engine.get().quit();
      }, { startOpcode: 0x0fa2, endOpcode: 0x0fa2 });
    }
    export const clean = (): void => cm.clean();
  `;
  const run = await runGuest({ task: "idle", script });
  assert.equal(run.stderr, "");
  assert.deepEqual(run.messages, ["0 0 true"]);
});

test("events of the engine reach a script in the sandbox, until it ends its subscription", async () => {
  const script = () => `
    import { Engine } from "rebox";
    export function initialize_callbacks(_: number, print: (text: string) => void): void {
      const engine = Engine.get();
      const subscription = engine.on("paused", ({ state }) => {
        subscription.dispose();
        print("event: " + state);
      });
      void (async () => {
        while (engine.state !== "running") await new Promise((resolve) => setTimeout(resolve, 5));
        for (let turn = 0; turn < 2; turn++) {
          await engine.pause();
          await engine.resume();
        }
        await engine.quit();
      })();
    }
    export const clean = (): void => {};
  `;
  const run = await runGuest({ task: "idle", script });
  assert.equal(run.stderr, "");
  assert.deepEqual(run.messages, ["event: paused"]);
});
