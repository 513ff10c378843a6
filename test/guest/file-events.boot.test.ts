import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

interface SeenFile {
  readonly pid: number;
  readonly process: string;
  readonly path: string;
  readonly descriptor: number;
  readonly flags: number;
}

const WATCH = (serial: string): string => `
  import { CallbackManager, Engine } from "rebox";
  import { FileEvents, followGuest } from "rebox/trusted";
  ${scriptPrelude(serial)}
  let callbacks: CallbackManager;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    callbacks = new CallbackManager(handle);
    followGuest((guest) => {
      callbacks.clean();
      const events = new FileEvents(guest, (event) => {
        if (event.process === "opener") print(JSON.stringify(event));
      }, print);
      for (const name of events.hook(callbacks, ["open"])) print("the kernel lacks " + name);
    }, (error) => print(String(error)));
    void untilTruth("zoo.reported").then(() => Engine.get().quit());
  }
  export const clean = (): void => callbacks.clean();
`;

/** O_CLOEXEC is a property of the descriptor; O_CREAT, O_EXCL, O_NOCTTY and O_TRUNC are of the call of open() alone. */
const NOT_KEPT = 0o2000000 | 0o100 | 0o200 | 0o400 | 0o1000;

test("an opened file is reported with the process, its path, its descriptor and its flags", async () => {
  const { messages, report, truth, stderr } = await runGuest({
    task: "zoo",
    parameters: { kallsyms: 0 },
    reports: true,
    script: WATCH,
    trust: true,
  });
  assert.equal(stderr, "");
  const pid = Number(truth.get("zoo.opener"));
  const seen = messages.map((text) => JSON.parse(text) as SeenFile);
  const found = seen.map((one) => `${one.descriptor} ${one.path} ${(one.flags & ~NOT_KEPT).toString(8)}`);
  // It has named itself after its first two.
  const expected = report
    .list(`/proc/${pid}/fd`)
    .map((descriptor) => {
      const path = report.text(`/proc/${pid}/fd/${descriptor}`);
      const flags = /^flags:\t(\d+)$/m.exec(report.text(`/proc/${pid}/fdinfo/${descriptor}`))![1]!;
      return { descriptor: Number(descriptor), path, flags: (parseInt(flags, 8) & ~NOT_KEPT).toString(8) };
    })
    // Neither inherited, nor made by another call than open().
    .filter(({ descriptor }) => descriptor > 2 && descriptor < 300)
    .filter(({ path }) => /^\/(dev\/null|tmp|proc\/\d+\/status)$/.test(path))
    .map(({ descriptor, path, flags }) => `${descriptor} ${path} ${flags}`);
  assert.equal(expected.length, 3, report.list(`/proc/${pid}/fd`).join());
  assert.deepEqual(found.toSorted(), expected.toSorted());
  assert.deepEqual([...new Set(seen.map((one) => one.pid))], [pid]);
});
