import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, runRebox } from "../kit/guests/guest-run";

const script = (body: string) => () => `
  import { CallbackManager, Engine, ALL_PROCESSES, readCpu, sendKey, startMonitoringProcess,
    writeRegister } from "rebox";
  let cm: CallbackManager;
  export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
    cm = new CallbackManager(handle);
    ${body}
  }
  export function clean(): void {
    cm.clean();
  }
`;

test("a callback that throws is reported once with its line, counted, and the guest goes on", async () => {
  const run = await runGuest({
    task: "poweroff",
    script: script(`
      cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => {
        throw new Error("on purpose");
      }, { name: "thrower" });
    `),
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.cause, "guest-shutdown");
  assert.equal(run.stderr.match(/on purpose/g)?.length, 1, run.stderr);
  assert.match(run.stderr, /script\.ts:9:\d+/);
  assert.ok(Number(/thrower .*failed (\d+) times/.exec(run.stderr)?.[1]) > 1, run.stderr);
});

test("a callback that never returns is cut off, reported and removed, and the guest goes on", async () => {
  const run = await runGuest({
    task: "poweroff",
    reboxArgs: ["--callback-limit", "300"],
    script: script(`
      let calls = 0;
      cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => {
        printer("call " + ++calls);
        for (;;) {}
      }, { name: "endless" });
    `),
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.cause, "guest-shutdown");
  assert.deepEqual(run.messages, ["call 1"]);
  assert.match(run.stderr, /endless did not return within 300 ms; it was cut off and removed/);
});

test("a callback that the event loop calls is cut off like any other: an endless one for keys", async () => {
  const run = await runGuest({
    task: "poweroff",
    reboxArgs: ["--callback-limit", "300"],
    script: script(`
      let calls = 0;
      cm.addCallback(CallbackManager.KEYSTROKE_CB, () => {
        printer("call " + ++calls);
        for (;;) {}
      }, { name: "endless" });
      // A machine whose state is still loaded takes no key.
      const send = () => {
        if (Engine.get().state !== "running") return void setTimeout(send, 50);
        void sendKey("a").then(() => sendKey("b")).then(() => printer("both sent"));
      };
      setTimeout(send, 200);
    `),
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, ["call 1", "both sent"]);
  assert.match(run.stderr, /endless did not return within 300 ms; it was cut off and removed/);
});

test("a callback that ends within its limit is not cut off, however often it is called", async () => {
  const run = await runGuest({
    task: "poweroff",
    reboxArgs: ["--callback-limit", "3000"],
    script: script(`
      let calls = 0;
      cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => {
        if (calls++ < 4) {
          const end = Date.now() + 200;
          while (Date.now() < end);
          printer("call " + calls);
        }
      });
    `),
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, ["call 1", "call 2", "call 3", "call 4"]);
  assert.doesNotMatch(run.stderr, /cut off/);
});

test("wrong arguments of the machine's functions are errors that name them", async () => {
  const run = await runGuest({
    task: "idle",
    script: script(`
      const attempts = [
        () => readCpu(1),
        () => readCpu(-1),
        () => writeRegister(0, "CS", 1n),
        () => writeRegister(0, "NONE" as "RAX", 1n),
        () => Engine.create([]),
        () => cm.addCallback("BLOCK" as "BLOCK_BEGIN_CB", () => {}),
        () => cm.addCallback("BLOCK_BEGIN_CB", () => {}, { addr: 5 as unknown as bigint }),
        () => cm.addCallback("BLOCK_BEGIN_CB", () => {}, { pgd: 5n }),
        () => cm.addCallback("BLOCK_BEGIN_CB", () => {}, { fliter: {} } as never),
        () => cm.addCallback("BLOCK_BEGIN_CB", () => {}, "text" as never),
        () => cm.addStream("BLOCK_BEGIN_CB", () => {}, { capacty: 5 } as never),
        () => cm.addStream("BLOCK_BEGIN_CB", () => {}, 5 as never),
        () => cm.rmCallback("none"),
      ];
      for (const attempt of attempts) {
        try {
          attempt();
          printer("no error");
        } catch (error) {
          printer((error as Error).message.split(":")[0]!);
        }
      }
      void Engine.get().quit();
    `),
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [
    "there is no vCPU 1",
    "there is no vCPU -1",
    "CS cannot be written; segments are written by writeSegmentRegister()",
    "there is no register NONE",
    "this process has its engine already, and QEMU can be started only once in a process",
    "there is no callback type 'BLOCK'",
    "addr is a number",
    "pgd narrows an addr down",
    ...Array(4).fill("the options of BLOCK_BEGIN_CB"),
    "there is no callback none here",
  ]);
});

for (const { what, args, says } of [
  {
    what: "a kernel file that is missing",
    args: ["-kernel", "/nowhere/vmlinuz"],
    says: /could not open kernel file '\/nowhere\/vmlinuz'/,
  },
  { what: "an option that QEMU does not have", args: ["-no-such-option"], says: /-no-such-option: invalid option/ },
  {
    what: "a device that QEMU does not have",
    args: ["-device", "no-such"],
    says: /'no-such' is not a valid device model name/,
  },
  { what: "KVM by option", args: ["-enable-kvm"], says: /-enable-kvm: callbacks need TCG/ },
  { what: "KVM by accelerator", args: ["-accel", "kvm"], says: /-accel kvm: callbacks need TCG/ },
  { what: "KVM by machine", args: ["-machine", "q35,accel=kvm:tcg"], says: /callbacks need TCG/ },
  { what: "-daemonize", args: ["-daemonize"], says: /-daemonize: .*run rebox itself in the background/ },
  { what: "a thread for each vCPU", args: ["-accel", "tcg,thread=multi"], says: /thread=single/ },
]) {
  test(`${what} is refused with status 1 and the reason`, async () => {
    const run = await runRebox(["run", "--", "-display", "none", ...args], 20_000);
    assert.equal(run.status, 1, run.stderr);
    assert.match(run.stderr, says);
  });
}

test("QEMU's help is QEMU's help", async () => {
  const run = await runRebox(["run", "--", "-machine", "help"], 20_000);
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /q35/);
});
