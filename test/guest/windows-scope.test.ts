import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findWindowsScope, onWindowsTargetBegin, WindowsScope } from "../../src/guest/scope/windows-scope";
import type { WindowsProcess } from "../../src/systems/windows/windows-process";

interface Facts {
  readonly pid: number;
  readonly ppid?: number;
  readonly name?: string;
  readonly commandLineText?: string;
  readonly imageFile?: string;
  /** Who has made it, in truth. */
  readonly creator?: number;
}

const TRAITS = { file: "\\rebox-1a\\sample.exe", launcher: "rebox-1a\\run.py" };
const AGENT: Facts = { pid: 8, name: "pythonw.exe", commandLineText: "pythonw agent.pyw" };
const LAUNCHER: Facts = { pid: 12, ppid: 8, name: "python.exe", commandLineText: "python C:\\T\\rebox-1a\\run.py" };

/** Makes a scope, and gives it processes in turn. */
function follow(processes: readonly Facts[], traits = TRAITS) {
  const all = new Map<number, WindowsProcess>();
  const began: number[] = [];
  const adopted: string[] = [];
  const scope = new WindowsScope(
    traits as { file: string | undefined; launcher: string },
    ({ ppid }) => all.get(ppid),
    (process) => (process as unknown as Facts).creator,
    ({ pid }) => began.push(pid),
    ({ process, by, act }) => adopted.push(`${process.pid} by ${by}: ${act}`),
  );
  const origins = processes.map((facts) => {
    const defaults = { ppid: 4, name: "x.exe", commandLineText: "", imageFile: "" };
    const process = { ...defaults, ...facts } as unknown as WindowsProcess;
    all.set(process.pid, process);
    return scope.take(process);
  });
  return { scope, all, began, adopted, origins };
}

describe("the scope of a target in a Windows guest", () => {
  test("begins with the target's file, whatever the names of the folders above it", () => {
    const target = {
      pid: 16,
      ppid: 12,
      imageFile: "\\Device\\HarddiskVolume3\\Users\\Administrator\\Temp\\REBOX-1A\\sample.exe",
    };
    const other = { pid: 20, imageFile: "\\Device\\HarddiskVolume3\\Users\\rebox-1b\\sample.exe" };
    const { scope, began, origins } = follow([AGENT, LAUNCHER, other, target]);
    assert.deepEqual(origins, [undefined, undefined, undefined, "target"]);
    assert.deepEqual([began, scope.root?.pid, scope.living], [[16], 16, 1]);
  });

  test("begins with what the launcher starts, where the target is no program; Python's own start is none", () => {
    const second = { ...LAUNCHER, pid: 14, ppid: 12 };
    const { origins } = follow([AGENT, LAUNCHER, second, { pid: 18, ppid: 14, name: "wscript.exe" }]);
    assert.deepEqual(origins, [undefined, undefined, undefined, "target"]);
  });

  test("has what its processes make, also when these name another parent, and nothing of others", () => {
    const first = { pid: 16, ppid: 12, name: "sample.exe" };
    const child = { pid: 20, ppid: 16 };
    const hidden = { pid: 24, ppid: 8, creator: 20 };
    const stranger = { pid: 28, ppid: 8, creator: 8 };
    const { origins, scope } = follow([LAUNCHER, first, child, hidden, stranger]);
    assert.deepEqual(origins, [undefined, "target", "target", "target", undefined]);
    assert.deepEqual([20, 24, 28].map((pid) => scope.remove(pid)), [false, false, false]); // prettier-ignore
    assert.equal(scope.remove(16), true);
    assert.equal(scope.remove(16), false);
    assert.equal(scope.count, 3);
  });

  test("takes in those that it changes, and what these start from then on", () => {
    const { scope, all, adopted } = follow([LAUNCHER, { pid: 16, ppid: 12 }, { pid: 40 }]);
    scope.adopt(all.get(40)!, 16, "NtCreateThreadEx");
    scope.adopt(all.get(40)!, 16, "NtCreateThreadEx");
    assert.deepEqual(adopted, ["40 by 16: NtCreateThreadEx"]);
    assert.equal(scope.findOrigin(40), "adopted");
    assert.equal(scope.take({ pid: 44, ppid: 40 } as WindowsProcess), "adopted");
  });

  test("is told of when it begins, and is the engine's until its end", () => {
    findWindowsScope()?.end();
    const told: WindowsScope[] = [];
    const forget = onWindowsTargetBegin((scope) => told.push(scope));
    const { scope } = follow([LAUNCHER, { pid: 16, ppid: 12 }]);
    assert.deepEqual([told.length, told[0] === scope, findWindowsScope() === scope], [1, true, true]);
    forget();
    scope.end();
    assert.equal(findWindowsScope(), undefined);
  });

  test("a number that comes again is another process", () => {
    const { scope } = follow([LAUNCHER, { pid: 16, ppid: 12 }, { pid: 20, ppid: 16 }]);
    scope.remove(20);
    assert.equal(scope.take({ pid: 20, ppid: 8 } as WindowsProcess), undefined);
  });
});
