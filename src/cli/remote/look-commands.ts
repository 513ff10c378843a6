import { createWriteStream, rmSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { toColouredText } from "../../config/terminal-text";
import type { RemoteAnalysis, RemoteFile, RemoteMachine } from "./remote-answers";
import { readNumber } from "../analyze/analyses-use";
import { UsageError } from "../errors";
import { renderTable } from "../text-table";
import { defineRemoteCommand, type RemoteContext, type RemoteOptions } from "./remote-command";
import { RemoteServer } from "./remote-server";

interface LookOptions extends RemoteOptions {
  readonly json?: boolean;
  readonly limit?: number;
  readonly output?: string;
  readonly html?: boolean;
  readonly raw?: boolean;
}

/** The options by which analyses are found, which are fields of the API. */
const QUERIES = [
  ["--hash <hash>", "MD5, SHA-1 or SHA-256 of the target"],
  ["--name <text>", "a part of the target's name or of the command"],
  ["--signature <text>", "a part of the name or title of a signature that has fired"],
  ["--technique <id>", "of ATT&CK"],
  ["--indicator <text>", "an address that the target reached for, or a name that it asked for"],
  ["--text <text>", "words of what the target did, in their order: of paths, command lines, addresses"],
  ["--judgement <word>", "malicious, suspicious or inconspicuous"],
  ["--state <word>", "waiting, running, finished, failed, cancelled or lost"],
] as const;
const QUERY_NAMES = QUERIES.map(([flags]) => /^--(\w+)/.exec(flags)![1]!);

/** Creates the commands that look at the analyses and machines of a server. */
export function createLookCommands({ environment: { stdout } }: RemoteContext): Command[] {
  const print = (value: unknown) => stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  const list = defineRemoteCommand("list", "list or search analyses, the newest first")
    .option("--limit <count>", "so many", readNumber, 50)
    .option("--json", "print JSON")
    .action(async (options: LookOptions & Readonly<Record<string, string | undefined>>) => {
      const query = new URLSearchParams({ limit: String(options.limit) });
      for (const name of QUERY_NAMES) if (options[name] !== undefined) query.set(name, options[name]);
      const { analyses } = await new RemoteServer(options).read<{ analyses: RemoteAnalysis[] }>("GET", `/api/v1/analyses?${query.toString()}`); // prettier-ignore
      if (options.json === true) print(analyses);
      else stdout.write(renderList(analyses));
    });
  for (const [flags, text] of QUERIES) list.option(flags, text);
  return [
    list,
    defineRemoteCommand("show", "tell how an analysis has gone")
      .argument("<id>", "its number", readNumber)
      .option("--json", "print JSON")
      .action(async (id: number, options: LookOptions) => {
        const analysis = await new RemoteServer(options).read<RemoteAnalysis>("GET", `/api/v1/analyses/${id}`);
        if (options.json === true) print(analysis);
        else stdout.write(renderAnalysis(analysis));
      }),
    defineRemoteCommand("report", "fetch the report of an analysis")
      .argument("<id>", "its number", readNumber)
      .option("--html", "the page, and not the JSON")
      .option("-o, --output <file>", "write it to this file, and not to standard output")
      .action((id: number, options: LookOptions) =>
        fetchTo(options, `/api/v1/analyses/${id}/report.${options.html === true ? "html" : "json"}`, stdout),
      ),
    defineRemoteCommand("files", "list the files of an analysis, or fetch one")
      .argument("<id>", "its number", readNumber)
      .argument("[path]", "the file that is fetched")
      .option("--raw", "fetch the file itself, and not an archive with the password infected")
      .option("-o, --output <file>", "write it to this file")
      .option("--json", "print JSON")
      .action(async (id: number, path: string | undefined, options: LookOptions) => {
        const place = `/api/v1/analyses/${id}/files`;
        if (path !== undefined) {
          // Bytes that may be malware go to no terminal.
          if (options.output === undefined) throw new UsageError("name the file that it is written to: --output FILE");
          const name = path.split("/").map(encodeURIComponent).join("/");
          return fetchTo(options, `${place}/${name}${options.raw === true ? "?raw=yes" : ""}`, stdout);
        }
        const { files } = await new RemoteServer(options).read<{ files: RemoteFile[] }>("GET", place);
        if (options.json === true) print(files);
        else stdout.write(renderTable([["path", "bytes"], ...files.map((file) => [file.path, String(file.size)])]));
      }),
    defineRemoteCommand("machines", "list the machines of the server's lab")
      .option("--json", "print JSON")
      .action(async (options: LookOptions) => {
        const { machines } = await new RemoteServer(options).read<{ machines: RemoteMachine[] }>("GET", "/api/v1/machines"); // prettier-ignore
        const rows = machines.map(({ name, state, platform, machinery, note }) => [name, state, platform, machinery, note]); // prettier-ignore
        if (options.json === true) print(machines);
        else stdout.write(renderTable([["name", "state", "platform", "machinery", "note"], ...rows]));
      }),
  ];
}

/** Fetches something into a file, of which nothing stays when it does not come whole, or to standard output. */
export async function fetchTo(options: LookOptions, path: string, stdout: NodeJS.WritableStream): Promise<void> {
  const answer = await new RemoteServer(options).open("GET", path);
  if (options.output === undefined) return pipeline(answer, stdout, { end: false });
  const file = createWriteStream(options.output, { flags: "wx", mode: 0o600 });
  try {
    await pipeline(answer, file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST") rmSync(options.output, { force: true });
    throw new UsageError(`${options.output}: ${message}`);
  }
}

function renderList(analyses: readonly RemoteAnalysis[]): string {
  const rows = analyses.map(({ id, created, state, score, machine, target, command, reason }) => [
    ...[String(id), created.slice(0, 19).replace("T", " "), state, score === null ? "" : score.toFixed(1)],
    ...[machine ?? "any", [target?.name, command].filter(Boolean).join(": "), reason ?? ""],
  ]);
  return renderTable([["id", "created (UTC)", "state", "score", "machine", "target", "reason"], ...rows]);
}

function renderAnalysis(analysis: RemoteAnalysis): string {
  const { id, state, phase, reason, created, ended, machine, target, command, timeoutS, by, note, score } = analysis;
  const facts: readonly (readonly [string, string | null | undefined])[] = [
    ["analysis", String(id)],
    ["state", state === "running" ? phase : state],
    ["reason", reason],
    ["verdict", score === null ? undefined : `${score.toFixed(1)} ${analysis.judgement}`],
    ["created", created],
    ["ended", ended],
    ["by", by],
    ["machine", machine ?? "any"],
    ["target", target?.name],
    ["sha256", target?.sha256],
    ["command", command],
    ["timeout", `${timeoutS} s`],
    ["note", note],
  ];
  const shown = facts.filter((fact): fact is [string, string] => typeof fact[1] === "string");
  return shown.map(([name, value]) => `${name.padEnd(10)}${toColouredText(value)}\n`).join("");
}
