import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ElfError } from "../../src/systems/errors";
import { Elf } from "../../src/systems/symbols/elf/elf";
import { elfSourceOf } from "../../src/systems/symbols/elf/elf-source";
import { findUnwindRow, type RegisterRule } from "../../src/systems/symbols/elf/unwind-row";
import { UnwindTable } from "../../src/systems/symbols/elf/unwind-table";

/** A library of this host that has all kinds of unwind data, signal frames included; Node needs one too. */
const LIBRARY = "/lib/x86_64-linux-gnu/libc.so.6";
const NAMES = [
  ...["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"],
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "ra"],
];

interface Function {
  readonly start: bigint;
  readonly end: bigint;
  /** By the address from which on it holds; columns by register, CFA included. */
  readonly rows: readonly { readonly address: bigint; readonly columns: Readonly<Record<string, string>> }[];
}

/** Lets binutils interpret the unwind data. */
function readTruth(file: string): Function[] {
  const { stdout } = spawnSync("readelf", ["--debug-dump=frames-interp", "-W", file], { encoding: "utf8", maxBuffer: 1 << 28 }); // prettier-ignore
  return stdout.split("\n\n").flatMap((part) => {
    const [, start, end] = /FDE cie=[0-9a-f]+ pc=([0-9a-f]+)\.\.([0-9a-f]+)/.exec(part) ?? [];
    const lines = part.split("\n");
    const head = lines.findIndex((line) => /^ +LOC +CFA/.test(line));
    if (start === undefined || end === undefined || head < 0) return [];
    const titles = lines[head]!.trim().split(/\s+/).slice(1);
    const rows = lines.slice(head + 1).flatMap((line) => {
      // A register has its number before its name.
      const [address, ...cells] = line
        .replaceAll(/r\d+ \((\w+)\)/g, "$1")
        .trim()
        .split(/\s+/);
      if (cells.length !== titles.length) return [];
      return [{ address: BigInt(`0x${address}`), columns: Object.fromEntries(cells.map((cell, at) => [titles[at]!, cell])) }]; // prettier-ignore
    });
    return [{ start: BigInt(`0x${start}`), end: BigInt(`0x${end}`), rows }];
  });
}

function signed(offset: bigint): string {
  return `${offset < 0n ? "-" : "+"}${offset < 0n ? -offset : offset}`;
}

function show(rule: RegisterRule | undefined): string {
  switch (rule?.kind) {
    case undefined:
    case "undefined":
      return "u";
    case "same":
      return "s";
    case "saved at":
      return `c${signed(rule.offset)}`;
    case "offset":
      return `v${signed(rule.offset)}`;
    case "register":
      return NAMES[rule.register]!;
    case "saved by expression":
      return "exp";
    case "expression":
      return "vexp";
  }
}

test("the rows of unwind data are those that readelf finds, for every function of the C library", () => {
  const table = UnwindTable.find(new Elf(elfSourceOf(readFileSync(LIBRARY))))!;
  const functions = readTruth(LIBRARY);
  assert.ok(functions.length > 1000, `${functions.length} functions`);
  let rows = 0;
  let expressions = 0;
  for (const { start, end, rows: expected } of functions) {
    for (const [index, { address, columns }] of expected.entries()) {
      // It holds up to the next one.
      const last = (expected[index + 1]?.address ?? end) - 1n;
      for (const place of [address, last]) {
        const entry = table.findEntry(place)!;
        assert.deepEqual([entry.start, entry.end], [start, end]);
        const { frame, rules } = findUnwindRow(entry, place, 64);
        const own = "expression" in frame ? "exp" : `${NAMES[frame.register]}${signed(frame.offset)}`;
        const found = Object.fromEntries(Object.keys(columns).map((title) => [title, title === "CFA" ? own : show(rules.get(NAMES.indexOf(title)))])); // prettier-ignore
        assert.deepEqual(found, columns, `0x${place.toString(16)}`);
        rows++;
        if (Object.values(columns).includes("exp")) expressions++;
      }
    }
    assert.notEqual(table.findEntry(end)?.start, start);
  }
  assert.ok(rows > 10_000 && expressions > 0, `${rows} rows, ${expressions} with expressions`);
});

test("damaged unwind data is an ElfError or nothing, and never without end", () => {
  const whole = readFileSync(LIBRARY);
  const { sections } = new Elf(elfSourceOf(whole));
  const frames = sections.find(({ name }) => name === ".eh_frame")!;
  const places = readTruth(LIBRARY).slice(0, 400).map(({ start, end }) => (start + end) / 2n); // prettier-ignore
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    return seed % below;
  };
  let found = 0;
  for (let round = 0; round < 20; round++) {
    const damaged = Buffer.from(whole);
    for (let count = 0; count < 4000; count++) damaged[frames.offset + random(frames.size)] = random(256);
    const table = UnwindTable.find(new Elf(elfSourceOf(damaged)))!;
    for (const place of places) {
      try {
        const entry = table.findEntry(place);
        if (entry === undefined) continue;
        findUnwindRow(entry, place, 64);
        found++;
      } catch (error) {
        assert.ok(error instanceof ElfError, String(error));
      }
    }
  }
  assert.ok(found > 0);
});
