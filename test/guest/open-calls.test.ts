import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FunctionCall } from "../../src/guest/hooking/function-call";
import type { HookedFunction } from "../../src/guest/hooking/hooked-function";
import { OpenCalls } from "../../src/guest/hooking/open-calls";

const WORD = 8n;
const PGD = 0x1000n;
const THREAD = 0xffff_8000n;

/** A call of the simulated program: functions are numbered, and each call comes from a place of its own in its caller. */
interface SimulatedCall {
  readonly stackPointer: bigint;
  readonly returnAddress: bigint;
  readonly address: bigint;
  readonly isHooked: boolean;
}

type Step =
  | { readonly kind: "call"; readonly called: number; readonly frame: number; readonly isHooked: boolean }
  | { readonly kind: "tail"; readonly called: number }
  | { readonly kind: "return" }
  | { readonly kind: "jump"; readonly to: number };

const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({
      kind: fc.constant("call" as const),
      called: fc.nat(5),
      frame: fc.integer({ min: 0, max: 9 }),
      isHooked: fc.boolean(),
    }),
    fc.record({ kind: fc.constant("tail" as const), called: fc.integer({ min: 6, max: 9 }) }),
    fc.record({ kind: fc.constant("return" as const) }),
    fc.record({ kind: fc.constant("jump" as const), to: fc.nat(20) }),
  ),
  { maxLength: 120 },
);

test("of any program, each hooked call ends once: returned when it returned, jumped over when it was left", () => {
  fc.assert(
    fc.property(steps, (program) => {
      const open = new OpenCalls();
      const stack: SimulatedCall[] = [];
      const ended = new Map<FunctionCall, string>();
      const expected = new Map<FunctionCall, string>();
      const callOf = new Map<SimulatedCall, FunctionCall>();
      const note = (list: ReturnType<OpenCalls["enter"]>) =>
        list.forEach(({ call, abandoned }) => {
          assert.ok(!ended.has(call), "it ends twice");
          ended.set(call, abandoned ?? "returned");
        });
      let site = 0n;
      const begin = (one: SimulatedCall) => {
        stack.push(one);
        if (!one.isHooked) return;
        note(open.enter(THREAD, PGD, one.stackPointer, one.returnAddress, one.address));
        const call = { ...one } as unknown as FunctionCall;
        callOf.set(one, call);
        open.push(THREAD, PGD, { call, called: {} as HookedFunction });
      };
      const leave = (one: SimulatedCall, how: string) => {
        const call = callOf.get(one);
        if (call !== undefined) expected.set(call, how);
      };
      for (const step of program) {
        const top = stack.at(-1);
        if (step.kind === "call") {
          const base = top?.stackPointer ?? 0x7fff_f000n;
          const stackPointer = base - WORD * BigInt(1 + step.frame);
          const returnAddress = 0x40_0000n + site++ * 16n;
          begin({ stackPointer, returnAddress, address: BigInt(step.called), isHooked: step.isHooked });
        } else if (step.kind === "tail" && top !== undefined && top.address < 6n) {
          begin({ ...top, address: BigInt(step.called), isHooked: true });
        } else if (step.kind === "return" && top !== undefined) {
          // All that have jumped to each other come back at once.
          while (stack.at(-1)?.stackPointer === top.stackPointer) leave(stack.pop()!, "returned");
          note(open.leave(THREAD, PGD, top.stackPointer + WORD, top.returnAddress, 8));
        } else if (step.kind === "jump") {
          // A function that has become another one by a tail call cannot be jumped to.
          let left: bigint | undefined;
          while (stack.length > step.to || (left !== undefined && stack.at(-1)?.stackPointer === left)) {
            const one = stack.pop()!;
            left = one.stackPointer;
            leave(one, "jumped over");
          }
        }
      }
      // The next call, from the outermost function, shows what was left before.
      note(open.enter(THREAD, PGD, 0x7fff_fff0n, 1n, 99n));
      for (const one of stack) leave(one, "jumped over");
      assert.equal(open.threadCount, 0);
      for (const [call, how] of expected) assert.equal(ended.get(call), how);
      assert.equal(ended.size, expected.size);
    }),
    { numRuns: 500 },
  );
});

test("the end of a thread, and another program in it, end its calls", () => {
  const open = new OpenCalls();
  const push = (thread: bigint, stackPointer: bigint) => {
    const call = { stackPointer, returnAddress: 7n, address: 1n } as FunctionCall;
    open.push(thread, PGD, { call, called: {} as HookedFunction });
    return call;
  };
  const [first, second, third] = [push(1n, 100n), push(1n, 50n), push(2n, 100n)];
  assert.deepEqual(
    open.endThread(1n, "thread ended").map(({ call, abandoned }) => [call, abandoned]),
    [
      [second, "thread ended"],
      [first, "thread ended"],
    ],
  );
  assert.deepEqual(open.endThread(1n, "thread ended"), []);
  const replaced = open.enter(2n, 0x2000n, 10n, 8n, 1n);
  assert.deepEqual(
    replaced.map(({ call, abandoned }) => [call, abandoned]),
    [[third, "program replaced"]],
  );
  assert.equal(open.threadCount, 0);
});
