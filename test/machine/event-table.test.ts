import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { CallbackManager } from "../../src/machine/callbacks/callback-manager";
import type { CallbackFunctions } from "../../src/machine/callbacks/callback-types";
import { type EventFacts, EVENTS, type EventType } from "../../src/machine/engine/event-table";

const PROJECT = resolve(__dirname, "../../../..");
const events = Object.entries(EVENTS) as [EventType, EventFacts][];
const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");

/** Fails to compile when a callback's function has other arguments than the table says, by their number. */
type Arity<List extends readonly unknown[]> = List["length"];
type WrongArity = {
  [Type in EventType]: Parameters<CallbackFunctions[Type]>["length"] extends Arity<(typeof EVENTS)[Type]["arguments"]>
    ? never
    : Type;
}[EventType];
const noWrongArity: [WrongArity] extends [never] ? true : WrongArity = true;

/** Reads the enumerators of a C enumeration, in order. */
function readEnum(path: string, name: string): string[] {
  const [, body = ""] = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(read(path)) ?? [];
  const names = body.replace(/\/\*.*?\*\/|\/\/.*$/gms, "").split(",");
  return names.map((name) => /\w+/.exec(name)?.[0]).filter((name) => name !== undefined);
}

/** Reads the elements of an initializer in C++. */
function readList(path: string, beginning: string): string[] {
  const text = read(path);
  const [body = ""] = text.slice(text.indexOf(beginning) + beginning.length).split("}", 1);
  return body
    .split(",")
    .map((word) => word.trim())
    .filter(Boolean);
}

test("the kinds of events are numbered from 0, and have the order of the C enumerations", () => {
  assert.ok(noWrongArity);
  assert.deepEqual(
    events.map(([, { kind }]) => kind),
    events.map((_, index) => index),
  );
  const ofQemu = readEnum("native/qemu/qemu_glue.h", "rebox_event").filter((name) => name !== "REBOX_EVENT_COUNT");
  const ofGuest = readEnum("native/addon/event_kind.h", "GuestEvent");
  assert.deepEqual(
    events.map(([, { native }]) => native),
    [...ofQemu, ...ofGuest],
  );
  assert.deepEqual(
    events.filter(([, { ofGuest: isOfGuest }]) => isOfGuest).map(([, { native }]) => native),
    ofGuest,
  );
});

test("the addon delivers every event, and knows the type of its trigger", () => {
  const delivery = ["code_events.cc", "device_events.cc"].map((name) => read(`native/addon/${name}`)).join("\n");
  const missing = events.filter(([, { native, ofGuest }]) => !ofGuest && !new RegExp(`\\b${native}\\b`).test(delivery));
  assert.deepEqual(
    missing.map(([type]) => `${type}: code_events.cc and device_events.cc do not deliver it`),
    [],
  );
  assert.deepEqual(
    readList("native/addon/subscriptions.cc", "types[kEventKinds] = {"),
    events.map(([type]) => type),
  );
  const ofTriggers = readEnum("triggers/rebox_trigger.h", "callback_type_t");
  assert.deepEqual(
    events.map(([type]) => type).filter((type) => !ofTriggers.includes(type)),
    [],
  );
});

test("every event that QEMU raises has a function in the listener of qemu_glue.h", () => {
  const [, body = ""] =
    /typedef struct rebox_listener \{([^]*?)\} rebox_listener;/.exec(read("native/qemu/qemu_glue.h")) ?? [];
  const functions = [...body.matchAll(/\(\*(\w+)\)/g)].map(([, name]) => name);
  const others: Record<string, string> = {
    ...{ mem_read: "access", mem_write: "access", opcode_range: "opcode", tlb_exec: "tlb_fill" },
    ...{ nic_rec: "frame_received", nic_send: "frame_sent" },
  };
  for (const [type, { native, ofGuest }] of events) {
    if (ofGuest) continue;
    const name = native.replace("REBOX_", "").toLowerCase();
    assert.ok(functions.includes(others[name] ?? name), `${type}: rebox_listener has no ${others[name] ?? name}`);
  }
});

test("callbacks' functions have the names of the table for their arguments", () => {
  const types = read("src/machine/callbacks/callback-types.ts");
  for (const [type, { arguments: names }] of events) {
    const [, list = ""] = new RegExp(`^  ${type}: \\(([^)]*)\\)`, "m").exec(types) ?? [];
    assert.deepEqual(
      [...list.matchAll(/(\w+):/g)].map(([, name]) => name),
      names,
      type,
    );
    assert.equal(CallbackManager[type], type);
  }
});

test("the documents have a page for every event, with its arguments and options", () => {
  const folder = "docs/reference/callbacks";
  const rows = read(`${folder}/README.md`).split("\n");
  for (const [type, { page, arguments: names, options }] of events) {
    assert.ok(existsSync(join(PROJECT, folder, `${page}.md`)), `${folder}/${page}.md is missing: it is ${type}'s page`);
    const text = read(`${folder}/${page}.md`);
    assert.ok(text.startsWith(`# ${type}\n`), `${page}.md begins with # ${type}`);
    const rowsOfPage = [...text.matchAll(/^\| (`.*?) \|/gm)].map(([, cell]) => cell!).join(" ");
    assert.deepEqual(
      names.filter((name) => !new RegExp(`\`${name}\\b`).test(rowsOfPage)),
      [],
      `arguments without a row in ${page}.md`,
    );
    const written = options.flatMap((option) => (option === "opcodes" ? ["startOpcode", "endOpcode"] : [option]));
    const shown = [
      `[\`${type}\`](${page}.md)`,
      `\`${names.join(", ")}\``,
      written.map((name) => `\`${name}\``).join(", "),
    ];
    const row = rows.find((line) => line.startsWith(`| ${shown[0]} |`));
    assert.deepEqual(
      row
        ?.split("|")
        .slice(1, 4)
        .map((cell) => cell.trim()),
      shown,
      `${type}'s row in ${folder}/README.md`,
    );
  }
});
