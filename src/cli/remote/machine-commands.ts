import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { toColouredText } from "../../config/terminal-text";
import { collect } from "../analyze/analyze-options";
import { ExitStatus } from "../exit-status";
import { UsageError } from "../errors";
import { defineRemoteCommand, type RemoteContext, type RemoteOptions } from "./remote-command";
import { createJsonBody, RemoteServer } from "./remote-server";

/** The time between two looks at what is done with a machine, in milliseconds. */
const POLL_MS = 500;

interface MachineTask {
  readonly action: string;
  readonly isRunning: boolean;
  readonly status: number | null;
  readonly text: string;
}

interface MachineOptions extends RemoteOptions {
  readonly restore?: boolean;
  readonly as?: string;
  readonly from?: string;
  readonly replace?: boolean;
  readonly trust?: boolean;
  readonly command?: readonly string[];
  readonly reason?: string;
  readonly json?: boolean;
  readonly timeout?: string;
}

/** Creates the commands that manage the machines of a server, and ask them. */
export function createMachineCommands({ environment, onStatus }: RemoteContext): Command[] {
  const { stdout } = environment;
  const say = (text: string) => void stdout.write(`${toColouredText(text)}\n`);
  const begin = async (options: RemoteOptions, name: string, action: string, body: object) => {
    const server = new RemoteServer(options);
    const place = `/api/v1/machines/${encodeURIComponent(name)}`;
    await server.read("POST", `${place}/${action}`, createJsonBody(body));
    const { status, text } = await untilDone(server, place);
    if (text !== "") say(text);
    onStatus(status === 0 ? ExitStatus.success : ExitStatus.failure);
  };
  const change = async (options: MachineOptions, name: string, action: "enable" | "disable") => {
    const body = options.reason === undefined ? {} : { reason: options.reason };
    await new RemoteServer(options).read("POST", `/api/v1/machines/${encodeURIComponent(name)}/${action}`, createJsonBody(body)); // prettier-ignore
    say(`${name} is ${action === "enable" ? "in" : "out of"} the pool`);
  };
  const machine = new Command("machine")
    .summary("start, stop and prepare the machines of the server's lab")
    .description("Does with a machine of a server what rebox machine does with one of a folder.")
    .helpOption("-h, --help", "show this help");
  for (const each of [
    defineRemoteCommand("start", "start a machine, from its golden state or snapshot")
      .argument("<name>")
      .option("--no-restore", "start it without one")
      .action((name: string, options: MachineOptions) => begin(options, name, "start", { restore: options.restore !== false })), // prettier-ignore
    defineRemoteCommand("stop", "end a machine")
      .argument("<name>")
      .action((name: string, options: MachineOptions) => begin(options, name, "stop", {})),
    defineRemoteCommand("prepare", "boot a machine once, and freeze it when it is ready")
      .argument("<name>")
      .option("--as <state>", "the golden state's name", "ready")
      .option("--from <state>", "change this golden state in place of a fresh boot")
      .option("--replace", "make it anew when there is one of this name")
      .option("--command <line>", "for sh in the guest, before it is frozen; may be repeated", collect)
      .option("--trust", "have the guest trust the certificates of the lab's simulated network")
      .action((name: string, { as, from, replace = false, trust = false, command = [], ...options }: MachineOptions) =>
        begin(options, name, "prepare", { as, from, replace, trust, command }),
      ),
    defineRemoteCommand("enable", "put a machine back into the pool")
      .argument("<name>")
      .action((name: string, options: MachineOptions) => change(options, name, "enable")),
    defineRemoteCommand("disable", "take a machine out of the pool")
      .argument("<name>")
      .option("--reason <text>", "why, for all who look at it")
      .action((name: string, options: MachineOptions) => change(options, name, "disable")),
  ])
    machine.addCommand(each);
  return [machine, createInvestigateCommand(say)];
}

function createInvestigateCommand(say: (text: string) => void): Command {
  return defineRemoteCommand("investigate", "ask a machine that runs, from outside, by a module of investigations")
    .argument("<machine>")
    .argument("<module>")
    .argument("[flags...]", "the module's parameters; help has it explain them")
    .allowUnknownOption()
    .option("--timeout <seconds>", "how long it may take", "60")
    .action(async (name: string, module: string, flags: string[], options: MachineOptions) => {
      const body = createJsonBody({ module, flags, timeout: Number(options.timeout) });
      const { result, text } = await new RemoteServer(options).read<{ result: object | null; text: string }>("POST", `/api/v1/machines/${encodeURIComponent(name)}/investigate`, body); // prettier-ignore
      say(result === null ? text : JSON.stringify(result, undefined, 2));
    });
}

async function untilDone(server: RemoteServer, place: string): Promise<MachineTask> {
  for (;;) {
    const { task } = await server.read<{ task: MachineTask | null }>("GET", place);
    if (task === null) throw new UsageError("the server has forgotten what it was asked to do");
    if (!task.isRunning) return task;
    await sleep(POLL_MS);
  }
}
