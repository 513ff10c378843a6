import type { Command } from "commander";
import {
  type TargetOptions,
  collect,
  parseCount,
  parseNetwork,
  parseOption,
  parseOptions,
  parsePriority,
  parseSeconds,
} from "../analyze/analyze-options";
import { readNumber } from "../analyze/analyses-use";
import { addTargetOptions } from "../analyze/target-options";
import { ExitStatus, getSignalStatus } from "../exit-status";
import { toColouredText } from "../../config/terminal-text";
import { defineRemoteCommand, type RemoteContext, type RemoteOptions } from "./remote-command";
import { RemoteServer } from "./remote-server";
import { createForm } from "./submission-form";
import { watchRemote } from "./watch-remote";

type Pairs = Readonly<Record<string, string>>;

interface SubmitOptions extends RemoteOptions, TargetOptions {
  readonly machine?: readonly string[];
  readonly command?: string;
  readonly member?: string;
  readonly timeout?: number;
  readonly network?: string;
  readonly options?: Pairs;
  readonly option?: Pairs;
  readonly priority?: number;
  readonly runs?: number;
  readonly note?: string;
  readonly notBefore?: string;
  readonly watch?: boolean;
  readonly json?: boolean;
}

/** Creates the commands that ask a server for analyses, follow them, and end them. */
export function createSubmitCommands({ environment, onStatus }: RemoteContext): Command[] {
  const { stdout } = environment;
  return [
    addTargetOptions(
      defineRemoteCommand("submit", "ask for analyses of files, or of a command alone")
        .argument("[files...]", "what is analysed: each is an analysis")
        .option(
          "--machine <name>",
          "the machine; several are an analysis on each; without it, any that is free",
          collect,
        )
        .option("--command <line>", "what is run, for sh; $TARGET is the target. Without it the target itself is")
        .option("--member <path>", "the file in an archive (zip, 7z, tar) that is analysed"),
    )
      .option("--timeout <seconds>", "how long the target may run; 120 without it", parseSeconds)
      .option("--network <network>", "none, simulated, user or bridge:INTERFACE", parseNetwork)
      .option("--options <k=v,...>", "for the auxiliary modules; memory=yes dumps memory at the end", parseOptions)
      .option(
        "--option <name=value>",
        "one of those options, whose value may hold anything; may be repeated",
        parseOption,
      ) // prettier-ignore
      .option("--priority <number>", "1 to 3: of those that wait, the highest begins first", parsePriority)
      .option("--runs <count>", "analyse each target so often", parseCount)
      .option("--note <text>", "a text of yours, which comes back with the analysis")
      .option("--not-before <moment>", "begin then or later: 2026-12-24T18:00:00Z")
      .option("--watch", "follow them until they have ended; the exit status is as of rebox analyze")
      .option("--json", "print JSON")
      .action(async (files: string[], options: SubmitOptions) => {
        const server = new RemoteServer(options);
        const { ids } = await server.read<{ ids: number[] }>("POST", "/api/v1/analyses", createForm(toFields(options), files)); // prettier-ignore
        if (options.json === true) stdout.write(`${JSON.stringify({ ids })}\n`);
        else for (const id of ids) stdout.write(`analysis ${id}: queued\n`);
        onStatus(options.watch === true ? await watchAll(server, ids, options, environment) : ExitStatus.success);
      }),
    defineRemoteCommand("watch", "follow analyses until they have ended")
      .argument("<ids...>", "their numbers", (text: string, before: readonly number[] = []) => [
        ...before,
        readNumber(text),
      ]) // prettier-ignore
      .option("--json", "print events as lines of JSON")
      .action(async (ids: number[], options: SubmitOptions) =>
        onStatus(await watchAll(new RemoteServer(options), ids, options, environment)),
      ),
    defineRemoteCommand("cancel", "end an analysis early")
      .argument("<id>", "its number", readNumber)
      .action(async (id: number, options: RemoteOptions) => {
        await new RemoteServer(options).read("POST", `/api/v1/analyses/${id}/cancel`);
        stdout.write(`analysis ${id}: asked to end\n`);
      }),
  ];
}

/** Makes the fields of the API out of options: they have the same names. */
function toFields(options: SubmitOptions): [string, string][] {
  const { machine, tag, argument, env, option, options: more, timeout, priority, runs } = options;
  const pairs = (name: string, values: Pairs = {}) => Object.entries(values).map(([key, value]) => [name, `${key}=${value}`]); // prettier-ignore
  const lists = { machine, tag, argument };
  const { command, member, password, user, folder, platform, network, note, notBefore } = options;
  const texts = { command, member, password, user, folder, platform, network, note, timeout, priority, runs, not_before: notBefore }; // prettier-ignore
  return [
    ...Object.entries(lists).flatMap(([name, values = []]) => values.map((value) => [name, value])),
    ...[...pairs("env", env), ...pairs("option", { ...more, ...option })],
    ...Object.entries(texts).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  ] as [string, string][];
}

/** Follows analyses beside each other. Ctrl-C ends the command; the analyses go on. */
async function watchAll(
  server: RemoteServer,
  ids: readonly number[],
  { json }: SubmitOptions,
  { stdout, stderr, processEvents }: RemoteContext["environment"],
): Promise<number> {
  const controller = new AbortController();
  let interruption: NodeJS.Signals | undefined;
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const onSignal = (signal: NodeJS.Signals) => {
    interruption = signal;
    controller.abort();
  };
  for (const signal of signals) processEvents.on(signal, onSignal);
  const people = json === true ? stderr : stdout;
  const say = (text: string) => void people.write(`${toColouredText(text)}\n`);
  try {
    const ends = await Promise.all(
      ids.map(async (id) => {
        let count = 0;
        const { outcome, reason } = await watchRemote(server, id, controller.signal, ({ name, data }) => {
          if (name === "phase") say(`analysis ${id}: ${String(data["phase"])}`);
          if (name === "restart") count = 0;
          if (name !== "event") return;
          count++;
          if (json === true) stdout.write(`${JSON.stringify({ analysis: id, ...data })}\n`);
        });
        say(`analysis ${id}: ${outcome}: ${reason ?? ""} (${count} events)`);
        return outcome;
      }),
    );
    return ends.every((outcome) => outcome === "finished") ? ExitStatus.success : ExitStatus.failure;
  } catch (error) {
    if (interruption === undefined) throw error;
    say(`the analyses go on: rebox remote watch ${ids.join(" ")}`);
    return getSignalStatus(interruption);
  } finally {
    controller.abort();
    for (const signal of signals) processEvents.off(signal, onSignal);
  }
}
