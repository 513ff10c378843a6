import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

/** Looks at the process as soon as its first thread has ended, and listens until all of it has. */
const WATCH = (serial: string): string => `
  import { CallbackManager, Engine, getGuest, getModuleList, getProcessList } from "rebox";
  import { BytePattern, searchProcess } from "rebox/trusted";
  ${scriptPrelude(serial)}
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    const callbacks = new CallbackManager(handle);
    const say = (key: string, value: unknown) => print(key + " " + String(value));
    const look = async (): Promise<void> => {
      const truth = await untilTruth("ghost.lives");
      const pid = Number(truth.get("ghost.pid"));
      const note = (sign: string) => (of: number, _pgd: bigint, name: string) => {
        if (of === pid) say("event", sign + " " + name + " " + (readTruth().has("ghost.ended") ? "after" : "before"));
      };
      callbacks.addCallback(CallbackManager.CREATEPROC_CB, note("+"), { replay: true });
      callbacks.addCallback(CallbackManager.REMOVEPROC_CB, note("-"));
      const ghost = getProcessList().find((one) => one.pid === pid)!;
      say("found", getGuest().findProcess(ghost.pgd)?.pid === pid && ghost.isAlive);
      say("threads", ghost.threads.map(({ tid, mm }) => tid + (mm === 0n ? " ended" : " lives")).join());
      say("living", ghost.livingThread.tid);
      say("command", ghost.commandLine.join(" "));
      say("executable", ghost.executable);
      say("files", ghost.openFiles.some(({ path }) => path === "/tmp/ghost file"));
      say("stack", ghost.memoryMap.some(({ path }) => path === "[stack]"));
      say("module", getModuleList(ghost.pgd)[0]?.name);
      const search = await searchProcess(ghost, [new BytePattern(Buffer.from("rebox-ghost-canary"))]);
      say("word", search.hits.join());
      await untilTruth("ghost.gone");
      Engine.get().quit();
    };
    look().catch((error) => { print(String(error.stack)); Engine.get().quit(); });
  }
  export const clean = (): void => {};
`;

test("a process whose first thread has ended is what its other thread is, and ends with that", async () => {
  const { messages, truth, stderr } = await runGuest({ task: "ghost", trust: true, script: WATCH });
  const [pid, tid] = [truth.get("ghost.pid"), truth.get("ghost.tid")];
  assert.deepEqual(
    messages,
    [
      ...["event + ghost before", "found true", `threads ${pid} ended,${tid} lives`, `living ${tid}`],
      ...["command ghost 3", "executable /bin/ghost", "files true", "stack true", "module ghost"],
      ...[`word ${truth.get("ghost.word")}`, "event - ghost after"],
    ],
    stderr,
  );
});
