import { resolve } from "node:path";
import { QuotingError } from "../../../config/errors";
import { splitQuotedWords } from "../../../config/quoted-words";
import { writeIsf } from "../../../guest/kernel-types";
import { listVolatilityPlugins, runVolatility } from "../../../guest/volatility/volatility";
import type { VolatilityRow } from "../../../guest/volatility/volatility-rows";
import { type Command, defineCommand, type CommandInput } from "../command";
import { CommandError } from "../../errors";
import { type CommandResult, type CommandValue, type RowsResult, textResult } from "../command-result";
import type { CommandSession } from "../command-session";

/** The columns that come first: Volatility's JSON has them in the order of the alphabet. */
const FIRST_COLUMNS = [
  "OFFSET (V)",
  "Offset",
  "PID",
  "Pid",
  "TID",
  "Tid",
  "PPID",
  "COMM",
  "Process",
  "Process Name",
  "Name",
];

interface Choice {
  readonly words: readonly string[];
  readonly isLive: boolean;
  readonly timeoutMs: number | undefined;
}

function parseChoice(input: CommandInput): Choice {
  let words: string[];
  try {
    words = splitQuotedWords(input.rest());
  } catch (error) {
    if (!(error instanceof QuotingError)) throw error;
    throw new CommandError(`vol: ${error.message}`);
  }
  let isLive = false;
  let timeoutMs: number | undefined;
  while (words[0]?.startsWith("-")) {
    const option = words.shift();
    if (option === "--live") isLive = true;
    else if (option === "--timeout" && /^\d{1,6}$/.test(words[0] ?? "")) timeoutMs = Number(words.shift()) * 1000;
    else throw new CommandError(`vol has no option "${option}"; those of the plugin stand behind its name: help vol`);
  }
  if (words.length === 0) throw new CommandError("vol needs the name of a plugin; list_vol_commands lists them");
  return { words, isLive, timeoutMs };
}

/** Shows a tree as rows with their depth before them. */
function flatten(rows: readonly VolatilityRow[]): RowsResult {
  const flat: Record<string, CommandValue>[] = [];
  let isTree = false;
  const waiting = rows.map((row) => ({ row, depth: 0 })).reverse();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { row, depth } = next;
    const { __children: children, ...cells } = row;
    flat.push({ ...(cells as Record<string, CommandValue>), depth });
    isTree ||= children.length > 0;
    for (const child of children.toReversed()) waiting.push({ row: child, depth: depth + 1 });
  }
  const names = [...new Set(flat.flatMap((row) => Object.keys(row)))].filter((name) => name !== "depth");
  const first = FIRST_COLUMNS.filter((name) => names.includes(name));
  const columns = [...(isTree ? ["depth"] : []), ...first, ...names.filter((name) => !first.includes(name)).sort()];
  return { kind: "rows", columns, rows: flat };
}

async function runPlugin({ words, isLive, timeoutMs }: Choice, session: CommandSession): Promise<CommandResult> {
  const [plugin, ...args] = words as [string, ...string[]];
  const abort = new AbortController();
  const owned = session.owner.own(() => abort.abort());
  session.cancel = () => abort.abort();
  try {
    const options = { pause: !isLive, signal: abort.signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    const { plugin: name, rows, warnings } = await runVolatility(plugin, args, options);
    const result = flatten(rows);
    const none = rows.length === 0 ? [`${name} has no rows for this guest`] : [];
    return { ...result, note: [...warnings, ...none].join("\n") || undefined };
  } finally {
    session.cancel = undefined;
    owned.release();
  }
}

export const VOLATILITY_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "vol",
    usage: "[--live] [--timeout SECONDS] PLUGIN [ARGUMENTS]",
    help:
      "Runs a plugin of Volatility 3 on the guest, which is paused in the meantime, or on an image: vol linux.pslist --pid 1\n" +
      "The name may be shortened: pslist. --live lets the guest continue. Ctrl-C ends the plugin.",
    parse: parseChoice,
    run: runPlugin,
  }),
  defineCommand({
    name: "list_vol_commands",
    usage: "[FILTER]",
    help: "Lists the plugins of Volatility 3 whose name has FILTER in it.",
    parse: (input) => input.find() ?? "",
    run: async (filter) => {
      const rows = (await listVolatilityPlugins(filter)).map(({ name, description }) => ({ name, description }));
      const note =
        rows.length === 0 ? `no plugin has ${filter} in its name; all of them: list_vol_commands` : undefined;
      return { kind: "rows", columns: ["name", "description"], rows, note };
    },
  }),
  defineCommand({
    name: "isf",
    usage: "FILE",
    help: "Writes a symbol file for Volatility 3 (ISF) of the kernel that the guest runs.",
    parse: (input) => {
      const words = splitQuotedWords(input.rest());
      if (words.length !== 1) throw new CommandError("isf needs the path of one file; see: help isf");
      return resolve(words[0] as string);
    },
    run: (file) => {
      writeIsf(file);
      return textResult(`wrote ${file}`);
    },
  }),
];
