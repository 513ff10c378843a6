import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { GuestType, Member } from "../../src/systems/symbols/guest-type";
import { readProfile } from "../../src/systems/symbols/profile-store";
import { listKits } from "../kit/guests/guest-kits";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { findLivingPath } from "../kit/systems/linux-truth";

const KIT = listKits().find(({ profile }) => profile !== undefined);

/** Writes what a profile says of a kernel as an ISF file, by Volatility 3's schema. */
function writeIsf(profilePath: string, path: string): void {
  const { types, symbols, banner } = readProfile(profilePath);
  const baseTypes: Record<string, object> = {
    pointer: { size: types.pointerSize, signed: false, kind: "int", endian: "little" },
    void: { size: 0, signed: false, kind: "void", endian: "little" },
  };
  const userTypes: Record<string, object> = {};
  const enums: Record<string, object> = {};
  const unnamed = new Map<GuestType, string>();

  const nameOf = (type: GuestType & { name: string }): string => {
    if (type.name !== "") return type.name;
    const known = unnamed.get(type) ?? `unnamed_${unnamed.size.toString(16)}`;
    unnamed.set(type, known);
    return known;
  };
  const refer = (type: GuestType): object => {
    switch (type.kind) {
      case "struct":
      case "union":
        if (type.name === "") add(nameOf(type), type);
        return { kind: type.kind, name: nameOf(type) };
      case "incomplete":
        return { kind: "struct", name: type.name };
      case "enum": {
        const name = nameOf(type);
        const constants = Object.fromEntries([...type.values].map(([key, value]) => [key, Number(value)]));
        enums[name] ??= { size: type.size, base: "int", constants };
        return { kind: "enum", name };
      }
      case "array":
        return { kind: "array", count: type.count, subtype: refer(type.element) };
      case "pointer":
        // Of what a pointer points at, only a struct's name matters here, and following all would not end.
        return { kind: "pointer", subtype: "name" in type.target ? referByName(type.target) : VOID };
      case "function":
        return { kind: "function" };
      case "void":
        return VOID;
      default: {
        const isChar = type.kind === "integer" && type.meaning === "char";
        const kind = type.kind === "float" ? "float" : isChar ? "char" : type.meaning === "bool" ? "bool" : "int";
        const isSigned = type.kind === "integer" && type.isSigned;
        baseTypes[type.name] ??= { size: type.size, signed: isSigned, kind, endian: "little" };
        return { kind: "base", name: type.name };
      }
    }
  };
  const referByName = (type: GuestType): object =>
    (type.kind === "struct" || type.kind === "union") && type.name !== ""
      ? { kind: type.kind, name: type.name }
      : type.kind === "integer"
        ? refer(type)
        : VOID;
  const field = (member: Member, index: number): [string, object] => {
    const { name, type, bitOffset, bitSize } = member;
    if (bitSize === 0) {
      const facts = { offset: bitOffset / 8, type: refer(type) };
      return name === "" ? [`unnamed_field_${index}`, { ...facts, anonymous: true }] : [name, facts];
    }
    const bits = { kind: "bitfield", bit_length: bitSize, bit_position: bitOffset % 8, type: refer(type) };
    return [name, { offset: Math.floor(bitOffset / 8), type: bits }];
  };
  const add = (name: string, type: GuestType): void => {
    if (name in userTypes || (type.kind !== "struct" && type.kind !== "union")) return;
    userTypes[name] = {};
    const fields = Object.fromEntries(type.members.map(field));
    userTypes[name] = { kind: type.kind, size: type.size, fields };
  };
  for (const name of types.compoundNames()) add(name, types.findCompound(name)!);

  const text = JSON.stringify({
    metadata: { producer: { name: "test", version: "1" }, format: "6.2.0" },
    base_types: baseTypes,
    user_types: userTypes,
    enums,
    symbols: Object.fromEntries(
      Array.from(symbols.symbols(), ({ name, address }) => [
        name,
        {
          address: Number(address),
          ...(name === "linux_banner" ? { constant_data: Buffer.from(`${banner}\n`).toString("base64") } : {}),
        },
      ]),
    ),
  });
  writeFileSync(path, text);
}

const VOID = { kind: "base", name: "void" };

test(
  "a kernel that does not describe itself is attached to by an ISF file",
  { skip: KIT ? false : "set-up could not make a guest with a kernel that needs a profile" },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-isf-"));
    try {
      const isf = join(folder, "kernel.json");
      writeIsf(KIT!.profile!, isf);
      const conf = join(folder, "pyrebox.conf");
      writeFileSync(conf, "[VOL]\nprofile: kernel.json\n");
      const run = await runGuest({
        task: "zoo",
        parameters: { kallsyms: 0 },
        kit: KIT!,
        reports: true,
        reboxArgs: ["-c", conf],
        timeoutMs: 120_000,
        script: (serial) => `
          import { Engine, getGuest, getProcessList } from "rebox";
          ${scriptPrelude(serial)}
          export function initialize_callbacks(handle: number, print: (text: string) => void): void {
            void untilTruth("zoo.reported").then(() => {
              print(getGuest().kernel.types.origin);
              for (const one of getProcessList()) {
                if (!one.isKernelThread) print(JSON.stringify([one.pid, one.name, one.executable, one.memoryMap.length]));
              }
            }).catch((error) => print(String(error.stack))).finally(() => Engine.get().quit());
          }
          export const clean = (): void => {};
        `,
      });
      const reporter = Number(run.truth.get("zoo.reported"));
      const { report } = run;
      const expected = report
        .list("/proc")
        .map(Number)
        .filter((pid) => Number.isInteger(pid) && pid !== reporter && report.text(`/proc/${pid}/stat`) !== "")
        .filter(
          (pid) =>
            (BigInt(
              report
                .text(`/proc/${pid}/stat`)
                .replace(/^.*\) /s, "")
                .split(" ")[6]!,
            ) &
              0x200000n) ===
            0n,
        )
        .map((pid) => {
          const name = report.text(`/proc/${pid}/comm`).replace(/\n$/, "");
          const living = findLivingPath(report, pid);
          const maps = (report.find(`${living}/maps`) ?? "").split("\n").length - 1;
          return JSON.stringify([pid, name, report.find(`${living}/exe`) ?? "", Math.max(0, maps)]);
        });
      const [origin, ...processes] = run.messages;
      assert.equal(origin, isf, run.stderr);
      assert.deepEqual(
        processes.filter((line) => (JSON.parse(line) as number[])[0] !== reporter).sort(),
        expected.sort(),
      );
      assert.ok(expected.length > 15);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
