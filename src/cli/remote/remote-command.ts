import { Command } from "commander";
import type { RunEnvironment } from "../run/run-environment";
import { createLookCommands } from "./look-commands";
import { createMachineCommands } from "./machine-commands";
import { createManageCommands } from "./manage-commands";
import type { RemoteOptions } from "./remote-server";
import { createSubmitCommands } from "./submit-commands";

const AFTER_HELP = `
The server and the token are named once, by REBOX_SERVER and REBOX_TOKEN, or by each command: --server URL --token-file FILE.

Example: rebox remote submit --server https://sandbox.example --token-file token --watch sample.bin`;

/** The surroundings of a command on a server. */
export interface RemoteContext {
  readonly environment: RunEnvironment;
  /** Receives the exit status. */
  readonly onStatus: (status: number) => void;
}

/**
 * Creates the command `rebox remote`.
 *
 * @param onStatus receives the exit status
 */
export function createRemoteCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const context = { environment, onStatus };
  const command = new Command("remote")
    .summary("do with a server what the lab's commands do with a folder")
    .description("Works with a server of `rebox serve` from elsewhere: docs/guides/server.md.")
    .helpOption("-h, --help", "show this help")
    .addHelpText("after", AFTER_HELP);
  for (const create of [createSubmitCommands, createLookCommands, createManageCommands, createMachineCommands])
    for (const each of create(context)) command.addCommand(each);
  return command;
}

/** Makes a command on a server. */
export function defineRemoteCommand(name: string, summary: string): Command {
  return new Command(name)
    .summary(summary)
    .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
    .helpOption("-h, --help", "show this help")
    .option("--server <url>", "http://..., https://... or unix:PATH; without it REBOX_SERVER")
    .option("--token-file <file>", "the file with your token; without it REBOX_TOKEN is the token")
    .option("--certificate <file>", "trust this certificate (PEM)")
    .option("--plain-http", "send the token although nothing is encrypted");
}

/** The options of all commands on a server. */
export type { RemoteOptions };
