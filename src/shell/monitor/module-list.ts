import type { CustomCommand, ModuleInfo } from "../../scripts/module-control";

/** Returns what `list_modules` prints: a line for each script under a heading. */
export function formatModules(modules: readonly ModuleInfo[]): string {
  if (modules.length === 0) return "no script is loaded: import_module FILE";
  const rows = modules.map(({ handle, version, name, isTrusted, requirements, commands, file }) => [
    String(handle),
    String(version),
    name,
    isTrusted ? "trusted" : "sandboxed",
    requirements.join(",") || "-",
    commands.join(",") || "-",
    file,
  ]);
  return alignColumns([["handle", "version", "name", "runs", "requires", "commands", "file"], ...rows]);
}

/** Returns what `custom` prints without a name: each command with its script and the first line of its help. */
export function formatCommands(commands: readonly CustomCommand[]): string {
  if (commands.length === 0) return "no loaded script has a command: it would export a function do_<name>";
  const rows = commands.map(({ name, script, help }) => [name, script, help.split("\n", 1)[0] ?? ""]);
  return alignColumns([["command", "script", "help"], ...rows]);
}

function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
