import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readEvents } from "../../src/lab/analysis/event-log";
import { analyze, recordOf } from "../kit/lab/analyze-run";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";

/** C's qsort() calls a function of Python, for which libffi makes a piece of code. */
const CALLED_BACK = `import ctypes
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(lambda a, b: a[0] - b[0])
numbers = (ctypes.c_int * 5)(5, 3, 1, 4, 2)
ctypes.CDLL(None).qsort(numbers, 5, ctypes.sizeof(ctypes.c_int), compare)
assert list(numbers) == [1, 2, 3, 4, 5]
`;

/** A program of Python as there are many: exceptions, threads, signals, expressions, deep recursion; and another one that calls back. */
const PLAIN = `#!/usr/bin/python3 -S
import _thread, re, signal, sys, time, os
def deep(count): return 0 if count == 0 else 1 + deep(count - 1)
def fail(count):
    try: raise ValueError(count)
    except ValueError as error: return error.args[0]
hits = []
signal.signal(signal.SIGALRM, lambda *_: hits.append(1)); signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause()
words = re.findall("[a-z]+[0-9]{2,}", "abc12 def345 " * 50)
ended = []
for _ in range(2): _thread.start_new_thread(lambda: ended.append(sum(one * one for one in range(1000))), ())
while len(ended) < 2: time.sleep(0.01)
child = os.spawnl(os.P_WAIT, "/usr/bin/python3", "python3", "-S", "-c", """${CALLED_BACK}""")
sys.exit(0 if [deep(500), fail(7), len(hits), len(words), child] == [500, 7, 1, 100, 0] else 1)
`;

describe("an interpreter is no exploit", { skip: NEEDS_DEBIAN }, () => {
  test("Python gives no sign, and only the code that libffi makes for it lies in data, as documented; nothing is injected", async () => {
    await withDebian(["way_in: guest-agent"], async (lab) => {
      lab.write("conf/auxiliary.conf", "[exploits]\nenabled = yes\n[injections]\nenabled = yes\n");
      const target = lab.write("target.py", PLAIN);
      const { status, stdout } = await analyze(lab, "--machine", "office", "--network", "none", "--target", target, "--timeout", "200"); // prettier-ignore
      assert.equal(status, 0, stdout);
      assert.equal(recordOf(lab).reason, "the target ended with status 0", lab.read("state/office/console.log").slice(-1000)); // prettier-ignore
      const events = [...readEvents(lab.path("analyses/1"))];
      const signs = JSON.parse(lab.read("analyses/1/exploits.json")) as {
        readonly kind: string;
        readonly process: string;
      }[];
      // The target has the name of its file.
      assert.deepEqual([...new Set(signs.map(({ process, kind }) => `${process} ${kind}`))].sort(), ["python3 data", "python3 wx"]); // prettier-ignore
      assert.deepEqual(events.filter(({ type }) => type.startsWith("injection.")), []); // prettier-ignore
    });
  });
});
