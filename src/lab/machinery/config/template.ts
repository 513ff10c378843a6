import { GroupSetting } from "../../../config/schema/composite-settings";
import type { Setting, SettingsSchema } from "../../../config/schema/setting";
import type { Machinery } from "../machinery";
import { getMachineSchema } from "./machine-schema";

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
export function describeSetting(setting: Setting<unknown>): string {
  const { description = "", required = true, default: value } = setting.options;
  if (setting instanceof GroupSetting) return description;
  const isOptional = !required || value !== undefined;
  return [description, isOptional ? "" : "Required.", `(${setting.accepted})`].filter((part) => part !== "").join(" ");
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
    if (setting instanceof GroupSetting) {
      return [...comment, `${indent}${name}:`, ...renderYamlSettings(setting.members as SettingsSchema, `${indent}  `)];
    }
    return [...comment, `${indent}${renderLine(name, ": ", setting, machinery)}`, ""];
  });
}

/** Writes the settings of a section of an INI file: every one with what it is. */
export function renderIniSettings(schema: SettingsSchema, prefix: string, machinery?: Machinery): string[] {
  return Object.entries(schema).flatMap(([name, setting]) => {
    if (setting instanceof GroupSetting)
      return renderIniSettings(setting.members as SettingsSchema, `${prefix}${name}.`);
    const comment = wrap(describeSetting(setting)).map((line) => `# ${line}`);
    return [...comment, renderLine(`${prefix}${name}`, " = ", setting, machinery), ""];
  });
}

/** A setting without a value is a comment itself. */
function renderLine(name: string, separator: string, setting: Setting<unknown>, machinery?: Machinery): string {
  const { default: fallback, example, required = true } = setting.options;
  const value = fallback ?? example ?? (name === machinery?.labelKey ? "example1" : undefined);
  if (value === undefined) return `# ${name}${separator}`.trimEnd();
  const line = `${name}${separator}${setting.write(value)}`;
  return fallback === undefined && !required ? `# ${line}` : line;
}

function wrap(text: string): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1)!;
    if (last !== "" && last.length + 1 + word.length > LONGEST_LINE) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines;
}
