import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestKit } from "../kit/guests/guest-kits";
import { EVENT_KITS, watchTask } from "../kit/systems/process-events-run";

const MODULE_TYPES = ["LOADMODULE_CB", "REMOVEMODULE_CB"];

async function checkLibraries(kit: GuestKit, hidden: readonly string[]): Promise<void> {
  const { acts, events, run } = await watchTask({
    task: "libraries",
    waits: "greeter",
    parameters: { times: 25 },
    kit,
    types: [...MODULE_TYPES, "REMOVEPROC_CB"],
    hidden,
  });
  const pid = Number(run.truth.get("greeter.pid"));
  const own = events.filter((event) => event.pid === pid);
  const loads = own.filter(({ fullname }) => fullname === "/lib/libguest.so.1");
  assert.deepEqual(
    loads.map(({ type, base, name }) => `${type} ${base} ${name}`),
    acts.map(({ what, values }) => {
      const type = what === "dlopen" ? "LOADMODULE_CB" : "REMOVEMODULE_CB";
      return `${type} ${BigInt(values.get("base")!)} libguest.so.1`;
    }),
  );
  // At its end the process loses what it has, before it is gone itself.
  const rest = own.slice(own.indexOf(loads.at(-1)!) + 1);
  assert.deepEqual(
    rest
      .slice(0, -1)
      .map(({ type, name }) => `${type} ${name}`)
      .toSorted(),
    ["[vdso]", "greeter", kit.architecture === "amd64" ? "ld-linux-x86-64.so.2" : "ld-linux.so.2"]
      .concat("libc.so.6", "libgreeting.so.1")
      .map((name) => `REMOVEMODULE_CB ${name}`),
  );
  assert.equal(rest.at(-1)!.type, "REMOVEPROC_CB");
  assert.equal(new Set(own.map(({ pgd }) => pgd)).size, 1);
}

for (const kit of EVENT_KITS) {
  test(`each dlopen and dlclose on ${kit.release} is one event, with the base and path that the program says`, () =>
    checkLibraries(kit, []));
}

test("a kernel without the functions that are hooked first gives the same events of libraries from others", () =>
  checkLibraries(EVENT_KITS[0]!, ["perf_event_mmap", "uprobe_munmap", "finalize_exec", "proc_exec_connector"]));

for (const kit of EVENT_KITS) {
  test(`each insmod and rmmod on ${kit.release} is one event, with what /proc/modules says`, async () => {
    const { acts, events } = await watchTask({
      task: "modules",
      waits: "modules",
      parameters: { times: 2 },
      kit,
      types: MODULE_TYPES,
    });
    const own = events.filter(({ pgd }) => pgd === "0");
    const bases = new Map<string, string>();
    const expected = acts.map(({ what, values }) => {
      const name = values.get("name")!.replace(/-/g, "_");
      if (what === "insmod") {
        bases.set(name, `${BigInt(values.get("base")!)} ${values.get("size")}`);
        return `LOADMODULE_CB ${name} ${bases.get(name)}`;
      }
      return `REMOVEMODULE_CB ${name} ${bases.get(name)}`;
    });
    assert.deepEqual(
      own.map(({ type, name, base, size }) => `${type} ${name} ${base} ${size}`),
      expected,
    );
    assert.ok(expected.length >= 4);
    assert.ok(own.every(({ pid }) => pid === 0));
  });
}
