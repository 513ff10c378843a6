import assert from "node:assert/strict";
import { join } from "node:path";
import { type GuestRun, runGuest } from "../guests/guest-run";
import { BUILT } from "../project";

const INTERNAL = join(BUILT, "src/machine/callbacks/guest-event-source.js");

/** What a script needs to raise events itself, in the place of something that knows the guest. */
export const GUEST_EVENTS_PRELUDE = `
  import { CallbackManager, Engine, listCallbacks, readCpu } from "rebox";
  import { createRequire } from "node:module";
  const { guestEvents } = createRequire("/")(${JSON.stringify(INTERNAL)});
  const raiseModuleEvent = guestEvents.raiseModule.bind(guestEvents);
  const raiseProcessEvent = guestEvents.raiseProcess.bind(guestEvents);
  const setGuestEventSource = guestEvents.setSource.bind(guestEvents);
  const SHELL = { pid: 100, pgd: 0xa000n, name: "sh" };
  const EDITOR = { pid: 200, pgd: 0xb000n, name: "vi" };
  const module = (pid: number, pgd: bigint, name: string, base = 0x400000n) =>
    ({ pid, pgd, base, size: 0x5000, name, fullname: "/lib/" + name });
  const A = module(100, 0xa000n, "a.so"), B = module(200, 0xb000n, "b.so"), KERNEL = module(0, 0n, "ext4");
`;

/** Runs a script's function on a machine that executes nothing; it is handed a manager and print(). */
export function runWithoutGuest(body: string): Promise<GuestRun> {
  return runGuest({
    task: null,
    qemuArgs: ["-S"],
    script: () => `${GUEST_EVENTS_PRELUDE}
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        setTimeout(() => {
          try { ${body} } catch (error) { print("failed: " + error.stack); }
          void Engine.get().quit();
        }, 0);
      }
      export function clean(): void { cm.clean(); }
    `,
  });
}

/** Checks what a script printed, and that nothing failed. */
export function checkMessages(run: GuestRun, expected: readonly string[]): void {
  assert.equal(run.status, 0, run.stderr);
  // There is nothing in the machine, and rebox says so when somebody wants to know of its processes.
  assert.match(run.stderr, /^(rebox: no system was found in the guest until the end .*\n)?$/);
  assert.deepEqual(run.messages, expected);
}
