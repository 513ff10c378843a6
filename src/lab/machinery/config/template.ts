import type { z } from "zod";
import {
  describeAccepted,
  examineSetting,
  type SettingsSchema,
  writeSettingValue,
} from "../../../config/schema/settings-schema";
import type { Machinery } from "../machinery";
import { getMachineSchema } from "./machine-settings";

const LONGEST_LINE = 110;

/** Writes a machinery's configuration for somebody who has not seen it: every setting with what it is. */
export function renderYamlTemplate(machinery: Machinery): string {
  const example = renderYamlSettings(getMachineSchema(machinery, false), "", machinery).map((line) =>
    `#     ${line}`.trimEnd(),
  );
  return [
    ...renderHead(machinery),
    ...renderYamlSettings(machinery.settings, "", machinery),
    "# The machines, by their names. This one is an example: remove the # to have it.",
    "machines:",
    "#   example1:",
    ...example,
    "",
  ].join("\n");
}

/** Writes the same as an INI file. */
export function renderIniTemplate(machinery: Machinery): string {
  const example = renderIniSettings(getMachineSchema(machinery, true), "", machinery).map((line) =>
    `# ${line}`.trimEnd(),
  );
  return [
    ...renderHead(machinery),
    `[${machinery.name}]`,
    ...renderIniSettings(machinery.settings, "", machinery),
    "# The names of the machines, with commas between them; each has a section of its own.",
    "machines =",
    "",
    "# This machine is an example: remove the # and name it above to have it.",
    "# [example1]",
    ...example,
    "",
  ].join("\n");
}

/** Writes the settings of a file that has no machines. */
export function renderSettings(schema: SettingsSchema, title: string): string {
  return [`# ${title}`, "# Check it by: rebox config check", "", ...renderYamlSettings(schema, "")].join("\n");
}

/** Writes what a setting is, as the text of a comment. */
export function describeSetting(setting: z.ZodType): string {
  const { meta, definition, isOptional, default: value } = examineSetting(setting);
  const { description = "" } = meta;
  if (definition.shape !== undefined) return description;
  const need = isOptional || value !== undefined ? "" : "Required.";
  return [description, need, `(${describeAccepted(setting)})`].filter((part) => part !== "").join(" ");
}

function renderHead({ name, description }: Machinery): string[] {
  return [
    `# ${description || `Machines of ${name}.`}`,
    "# What may stand here: docs/reference/machinery.md. Check it by: rebox config check",
    "",
  ];
}

function renderYamlSettings(schema: SettingsSchema, indent: string, machinery?: Machinery): string[] {
  return Object.entries(schema).flatMap(([name, setting]) => {
    const comment = wrap(describeSetting(setting)).map((line) => `${indent}# ${line}`);
    const { shape } = examineSetting(setting).definition;
    if (shape !== undefined) return [...comment, `${indent}${name}:`, ...renderYamlSettings(shape, `${indent}  `)];
    return [...comment, `${indent}${renderLine(name, ": ", setting, machinery)}`, ""];
  });
}

/** Writes the settings of a section of an INI file: every one with what it is. */
export function renderIniSettings(schema: SettingsSchema, prefix: string, machinery?: Machinery): string[] {
  return Object.entries(schema).flatMap(([name, setting]) => {
    const { shape } = examineSetting(setting).definition;
    if (shape !== undefined) return renderIniSettings(shape, `${prefix}${name}.`);
    const comment = wrap(describeSetting(setting)).map((line) => `# ${line}`);
    return [...comment, renderLine(`${prefix}${name}`, " = ", setting, machinery), ""];
  });
}

/** A setting without a value is a comment itself. */
function renderLine(name: string, separator: string, setting: z.ZodType, machinery?: Machinery): string {
  const { default: fallback, meta, isOptional } = examineSetting(setting);
  const known = isNothing(fallback) ? undefined : fallback;
  const value = known ?? meta.examples?.[0] ?? (name === machinery?.labelKey ? "example1" : undefined);
  if (value === undefined) return `# ${name}${separator}`.trimEnd();
  const line = `${name}${separator}${writeSettingValue(value)}`;
  return known === undefined && (isOptional || fallback !== undefined) ? `# ${line}` : line;
}

/** A list that is empty without the setting shows nothing of what it could hold. */
function isNothing(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function wrap(text: string): string[] {
  if (text === "") return [];
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1)!;
    if (last !== "" && last.length + 1 + word.length > LONGEST_LINE) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines;
}
