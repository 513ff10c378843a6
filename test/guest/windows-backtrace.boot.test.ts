import assert from "node:assert/strict";
import { test } from "node:test";
import { type NtRun, withNt } from "../kit/nt/nt-run";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

interface Frame {
  readonly address: string;
  readonly stack: string;
  readonly method: string;
  readonly symbol: string | null;
}

/** Steps from where a function begins on: through its prolog, its body with all that it calls, and its epilog. */
const STEPS = 160;
/** Functions with pushed and saved registers, with large and small frames, that call others; in the script's `churn`. */
const FUNCTIONS = [
  "MiCreateTables",
  "MiMapPage",
  "ObCreateObject",
  "MiMapViewOfImageSection",
  "ExSetObject",
  "ExAllocatePool",
];

async function untilPaused({ data }: NtRun): Promise<void> {
  while ((await data<{ state: string }>("status")).state !== "paused");
}

/** Lets the guest go on until it calls a function, and gives its frames there. */
async function framesAt(run: NtRun, place: string): Promise<Frame[]> {
  await run.data(`bp ${place}`);
  await run.data("cont");
  await untilPaused(run);
  await run.data("bc *");
  return run.data<Frame[]>("bt");
}

const functions = (frames: readonly Frame[]): string[] =>
  frames.map(({ symbol }) => (symbol ?? "").replace(/\+0x[0-9a-f]+$/, ""));

test(
  "the callers of what an NT kernel executes stay the same at every step of a function",
  { skip: WITHOUT_WINDOWS_TOOLS },
  async () => {
    await withNt({ script: ["start smss.exe", "hold", "churn 40", "hold"] }, async (run) => {
      await run.untilHold(1);
      await run.data("pause");
      await run.data("ed kernel!TestGate=1");
      for (const name of FUNCTIONS) {
        const [first, ...callers] = await framesAt(run, `kernel!${name}`);
        assert.equal(first!.symbol, `kernel!${name}`);
        assert.equal(first!.method, "registers");
        const named = functions(callers);
        assert.equal(named.at(-1), "kernel!KiSystemStartup", named.join(" "));
        let steps = 0;
        for (; steps < STEPS; steps++) {
          await run.data("step");
          const frames = await run.data<Frame[]>("bt");
          // It has returned.
          if (BigInt(frames[0]!.stack) > BigInt(first!.stack)) break;
          assert.deepEqual(
            frames.slice(-callers.length).map(({ address, stack }) => [address, stack]),
            callers.map(({ address, stack }) => [address, stack]),
            `${name}, step ${steps}: ${functions(frames).join(" ")}`,
          );
          assert.ok(frames.slice(1).every(({ method }) => method === "unwind data"));
        }
        assert.ok(steps > 5, `${name} ended after ${steps} steps`);
      }
    });
  },
);

test(
  "from a system call the callers lead back into the program and its library",
  { skip: WITHOUT_WINDOWS_TOOLS },
  async () => {
    await withNt({ script: ["start smss.exe", "hold"] }, async (run) => {
      await run.untilHold(1);
      await run.data("pause");
      const inKernel = await framesAt(run, "kernel!KiSystemService");
      const inProgram = ["smss.exe!start", "ntdll.dll!LdrInitializeThunk"];
      assert.deepEqual(functions(inKernel), [
        ...["kernel!KiSystemService", "kernel!KiSystemCall64", functions(inKernel)[2]!],
        ...inProgram,
      ]);
      assert.match(functions(inKernel)[2]!, /^ntdll\.dll!Nt(Yield|Delay)Execution$/);
      const callers = inKernel.slice(2).map(({ address, stack }) => [address, stack]);
      let frames = inKernel;
      let steps = 0;
      for (; functions(frames)[0] === "kernel!KiSystemService"; steps++) {
        assert.deepEqual(
          frames.slice(-callers.length).map(({ address, stack }) => [address, stack]),
          callers,
          functions(frames).join(" "),
        );
        await run.data("step");
        frames = await run.data<Frame[]>("bt");
      }
      assert.ok(steps > 1);
      await run.data("proc smss.exe");
      assert.deepEqual(functions(await framesAt(run, "smss.exe!CountRun")), ["smss.exe!CountRun", ...inProgram]);
    });
  },
);
