import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { z } from "zod";
import { ConfigProblems } from "../../src/config/schema/config-problems";
import { readIniFiles } from "../../src/config/schema/ini-file";
import { readSettings } from "../../src/config/schema/read-settings";
import { config } from "../../src/config/schema/settings";
import type { SettingsOf, SettingsSchema } from "../../src/config/schema/settings-schema";
import { readYamlFile } from "../../src/config/schema/yaml-file";

interface Read<Schema extends SettingsSchema> {
  readonly values: SettingsOf<Schema>;
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** Reads settings out of the text of a file, whose name is left out of what is wrong. */
function read<Schema extends SettingsSchema>(
  schema: Schema,
  text: string,
  format: "yaml" | "ini" = "yaml",
): Read<Schema> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-settings-"));
  try {
    const file = join(folder, `settings.${format}`);
    const problems = new ConfigProblems();
    writeFileSync(file, format === "yaml" ? text : `[main]\n${text}`);
    const root = format === "yaml" ? readYamlFile(file, problems) : readIniFiles([file], problems).entries.get("main");
    assert.ok(root?.kind === "map");
    const values = readSettings(schema, root, { problems, folder, checksSystem: true });
    const strip = (line: unknown) => String(line).replace(/^.*?settings\.(yaml|ini):/, "").replaceAll(`${folder}/`, ""); // prettier-ignore
    return {
      values,
      errors: problems.errors.map(({ message }) => strip(message)),
      warnings: problems.warnings.map(strip),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("text becomes what the types take, from YAML and from INI", () => {
  const schema = {
    count: z.int(),
    share: z.number(),
    big: z.bigint(),
    on: z.boolean(),
    mode: z.literal(["fast", 2]),
    names: z.array(z.string()),
    ports: z.union([z.int(), z.enum(["none"])]),
    group: z.object({ member: z.int(), other: z.string().default("x") }),
    place: config.filePath(),
    card: config.macAddress(),
  };
  const expected = {
    ...{ count: -3, share: 0.5, big: 12345678901234567890n, on: true, mode: 2, names: ["a", "b c"], ports: "none" },
    ...{ group: { member: 7, other: "x" }, card: "52:54:00:aa:bb:cc" },
  };
  const yaml = [
    ...["count: -3", "share: .5", "big: 12345678901234567890", "on: On", "mode: 2", "names: [a, b c]", "ports: none"],
    ...["group:", "  member: 7", "place: some/file", "card: 52:54:00:AA:BB:CC"],
  ];
  const ini = [
    ...[
      "count = -3",
      "share = .5",
      "big = 12345678901234567890",
      "on = On",
      "mode = 2",
      "names = a, b c",
      "ports = none",
    ],
    ...["group.member = 7", "place = some/file", "card = 52:54:00:AA:BB:CC"],
  ];
  for (const [lines, format] of [
    [yaml, "yaml"],
    [ini, "ini"],
  ] as const) {
    const { values, errors, warnings } = read(schema, lines.join("\n"), format);
    assert.deepEqual([errors, warnings], [[], []]);
    const { place, ...others } = values;
    assert.match(place, /\/some\/file$/);
    assert.deepEqual(others, expected);
  }
});

test("every mistake has the line of its value, what stands there and what is accepted, and the others are read", () => {
  const schema = {
    count: z.int().min(1).max(9).default(4),
    least: z.int().gt(2).optional(),
    names: z.array(z.enum(["a", "b"])).default([]),
    limits: z.record(z.string(), z.int()).default({}),
    group: z.object({ member: z.int().default(1), path: config.filePath({ readable: true }).optional() }),
    word: z.string().min(3).optional(),
    even: z
      .int()
      .refine((value) => value % 2 === 0, "it must be even")
      .optional(),
    either: z.union([config.ipAddress(), z.literal("none")]).optional(),
    missing: z.string(),
  };
  const { values, errors } = read(
    schema,
    [
      ...["count: many", "least: 2", "names:", "  - a", "  - c", "limits:", "  cpu: much"],
      ...["group:", "  member: x", "  path: gone", "word: ab", "even: 3", "either: some"],
    ].join("\n"),
  );
  assert.deepEqual(errors, [
    '1: "count" is "many"; it must be a whole number from 1 to 9',
    '2: "least" is "2"; it must be a whole number, 3 or more',
    '5: "names" is "c"; it must be one of a, b',
    '7: "limits" has "cpu", which is "much"; it must be a whole number',
    '10: "path" is "gone", but there is no such file',
    '9: "member" is "x"; it must be a whole number',
    '11: "word" is "ab": Too small: expected string to have >=3 characters',
    '12: "even" is "3": it must be even',
    '13: "either" is "some"; it must be an IP address such as 192.168.30.101, or one of none',
    '1: "missing" is missing; it must be one line of text',
  ]);
  assert.deepEqual({ ...values }, {
    ...{ count: 4, least: undefined, names: [], limits: {}, group: { member: 1 }, word: undefined, even: undefined },
    ...{ either: undefined, missing: undefined },
  }); // prettier-ignore
});

test("a setting may have another name, be secret, and be there without a value when it is optional", () => {
  const schema = {
    platform: z
      .string()
      .toLowerCase()
      .pipe(z.enum(["linux"]))
      .meta({ aliases: ["system"] }),
    password: z.string().regex(/^\d+$/).optional().meta({ secret: true }),
    note: z.string().optional(),
    list: z.array(z.string()).optional(),
    group: z.object({ known: z.string().optional() }).optional(),
  };
  const good = read(schema, "system: LINUX\nnote:\nlist: []\n");
  assert.deepEqual({ ...good.values }, { platform: "linux", password: undefined, note: undefined, list: [], group: undefined }); // prettier-ignore
  assert.deepEqual(good.errors, []);
  const bad = read(schema, "system: linux\nplatform:\npassword: abc\ngroup:\n  knwon: x\nlist: {a: 1}\n");
  assert.deepEqual(bad.errors, [
    '1: "platform" and "system" mean the same; keep one',
    '2: "platform" has no value; it must be one of linux',
    '3: "password" is ********: Invalid string: must match pattern /^\\d+$/',
    '6: "list" is a group of values; it must be a list, each of which is one line of text',
  ]);
  assert.deepEqual(bad.warnings, ['5: warning: "knwon" is no known setting here and is ignored; did you mean "known"?']); // prettier-ignore
});
