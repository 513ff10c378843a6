import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PROJECT } from "../kit/project";
import { withNt } from "../kit/nt/nt-run";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const SCRIPT = [
  ...["hold", "start smss.exe", "start csrss.exe smss.exe", "churn 20", "hold"],
  ...["exit smss.exe", "exit csrss.exe", "hold"],
];
const TRACER = `
  export * from "${PROJECT}/scripts/syscall_trace";
  import { listSystemCallEntries, listSystemCalls } from "rebox";
  const plain = (value: unknown): string =>
    JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? "0x" + one.toString(16) : one));
  export const do_list = (): string => plain({ calls: listSystemCalls(), entries: listSystemCallEntries() });
`;

interface Listed {
  readonly calls: readonly {
    readonly bits: number;
    readonly number: number;
    readonly name: string;
    readonly parameters?: readonly object[];
  }[];
  readonly entries: readonly {
    readonly instruction: string;
    readonly address: string;
    readonly arguments: readonly string[];
  }[];
}

test(
  "system calls of programs are traced by the names in the NT kernel's own table, each one that the kernel counts",
  { skip: WITHOUT_WINDOWS_TOOLS },
  async () => {
    const place = mkdtempSync(join(tmpdir(), "rebox-nt-calls-"));
    const file = join(place, "calls.log");
    try {
      const { truth } = await withNt({ script: SCRIPT, rebox: () => TRACER }, async (run) => {
        await run.untilHold(1);
        const { calls, entries } = JSON.parse(await run.text("custom list")) as Listed;
        assert.equal(calls.length, 0x1ce);
        const named = calls.filter(({ name }) => name !== "NtNotImplemented");
        assert.equal(named.length, 16);
        const shown = ["NtDelayExecution", "NtYieldExecution", "NtCreateFile"];
        assert.deepEqual(
          named
            .filter(({ name }) => shown.includes(name))
            .map(({ bits, number, name, parameters }) => [bits, number, name, parameters?.length]),
          [
            [64, 0x34, "NtDelayExecution", undefined],
            [64, 0x46, "NtYieldExecution", undefined],
            [64, 0x55, "NtCreateFile", 11],
          ],
        );
        const [entry] = (await run.data<{ address: string }[]>("x kernel!KiSystemCall64")).map(({ address }) =>
          BigInt(address),
        );
        assert.deepEqual(
          entries.map(({ instruction, address, arguments: registers }) => [instruction, BigInt(address), registers]),
          [["syscall", entry, ["R10", "RDX", "R8", "R9"]]],
        );
        assert.match(await run.text(`custom trace_syscalls_to ${file}`), /^tracing into/);
        await run.release();
        await run.untilHold(2);
        await run.release();
        await run.untilHold(3);
        await run.text("custom trace_syscalls_end");
      });
      const traced = new Map<string, { yields: number; delays: number; interval: bigint }>();
      for (const line of readFileSync(file, "utf8").trimEnd().split("\n")) {
        const [, pid, call, first, second] =
          /^(\d+) \S+ (\w+)\((0x[0-9a-f]+|0), (0x[0-9a-f]+|0), /.exec(line) ?? assert.fail(line);
        const one = traced.get(pid!) ?? { yields: 0, delays: 0, interval: 0n };
        traced.set(pid!, one);
        if (call === "NtYieldExecution") one.yields++;
        else if (call === "NtDelayExecution" && BigInt(first!) === 1n)
          [one.delays, one.interval] = [one.delays + 1, BigInt(second!)];
        else assert.fail(line);
      }
      // A number is given to the next process when one has ended: the last one that had it is told of last.
      const told = truth.filter(({ event }) => event === "system calls");
      assert.equal(told.length, 22);
      const kept = told.filter(({ pid }) => told.filter((other) => other.pid === pid).length === 1);
      assert.ok(kept.length >= 2, `${kept.length}`);
      for (const { pid, yields, delays, interval } of kept) {
        const one = traced.get(String(pid));
        assert.deepEqual(
          one && [BigInt(one.yields), BigInt(one.delays), one.interval],
          [yields, delays, interval].map((value) => BigInt(value as bigint)),
          `the process ${String(pid)}`,
        );
      }
      const sum = (name: string) => told.reduce((all, one) => all + Number(one[name]), 0);
      const seen = [...traced.values()];
      assert.equal(
        seen.reduce((all, { yields }) => all + yields, 0),
        sum("yields"),
      );
      assert.equal(
        seen.reduce((all, { delays }) => all + delays, 0),
        sum("delays"),
      );
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  },
);
