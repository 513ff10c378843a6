/* eslint-disable @typescript-eslint/no-require-imports -- a command is loaded when it is asked for, and without waiting */
/* eslint-disable @typescript-eslint/consistent-type-imports -- the types of modules that are loaded so */
import type { Command } from "commander";
import { getReboxVersion } from "../config/folders";
import type { RunEnvironment } from "./run/run-environment";

/** The surroundings of a command. */
export interface CommandContext {
  readonly environment: RunEnvironment;
  /** The words behind "--"; undefined when there is no "--". */
  readonly qemuArgs: readonly string[] | undefined;
  /** rebox's own arguments, as they were given. */
  readonly own: readonly string[];
  /** Creates `rebox` with the commands that other words are about: all of them for none. */
  readonly createProgram: (words: readonly string[]) => Command;
  /** Receives the exit status. */
  readonly onStatus: (status: number) => void;
}

type CreateCommand = (context: CommandContext) => Command;

/** The commands of `rebox`, in the order of the help: each creates its own, and loads it only then. */
export const COMMANDS: Readonly<Record<string, CreateCommand>> = {
  run: ({ environment, qemuArgs, onStatus, own }) => {
    const { createRunCommand } = require("./run/run-command") as typeof import("./run/run-command");
    return createRunCommand(environment, qemuArgs, onStatus, own);
  },
  record: ({ environment, qemuArgs, onStatus, own }) => {
    const { createRecordCommand } = require("./record/record-command") as typeof import("./record/record-command");
    return createRecordCommand(environment, { args: own, qemuArgs }, onStatus);
  },
  replay: ({ environment, onStatus, own }) => {
    const { createReplayCommand } = require("./record/replay-command") as typeof import("./record/replay-command");
    return createReplayCommand(environment, { args: own, qemuArgs: undefined }, onStatus);
  },
  init: ({ environment: { stdout, projectFolder } }) => {
    const { createInitCommand } = require("./init/init-command") as typeof import("./init/init-command");
    return createInitCommand(stdout, projectFolder);
  },
  attach: ({ environment: { stdout, stderr }, onStatus }) => {
    const { createAttachCommand } = require("./attach-command") as typeof import("./attach-command");
    return createAttachCommand(() => process.stdin, stdout, stderr, onStatus);
  },
  dump: ({ environment: { stdout, stderr }, onStatus }) => {
    const { createDumpCommand } = require("./dump-command") as typeof import("./dump-command");
    return createDumpCommand(stdout, stderr, onStatus);
  },
  shell: ({ environment: { stdout, stderr, getApi }, onStatus }) => {
    const { createShellCommand } = require("./shell-command") as typeof import("./shell-command");
    return createShellCommand(() => process.stdin, stdout, stderr, getApi, onStatus);
  },
  doctor: ({ environment: { stdout, projectFolder }, onStatus }) => {
    const { createDoctorCommand } = require("./doctor/doctor-command") as typeof import("./doctor/doctor-command");
    return createDoctorCommand(stdout, projectFolder, onStatus);
  },
  check: ({ environment: { stdout, projectFolder, getApi }, onStatus }) => {
    const { createCheckCommand } = require("./check/check-command") as typeof import("./check/check-command");
    return createCheckCommand(stdout, projectFolder, getApi, onStatus);
  },
  profile: ({ environment: { stdout }, onStatus }) => {
    const { createProfileCommand } = require("./profile/profile-command") as typeof import("./profile/profile-command");
    return createProfileCommand(stdout, onStatus);
  },
  types: ({ environment: { stdout }, onStatus }) => {
    const { createTypesCommand } = require("./types/types-command") as typeof import("./types/types-command");
    return createTypesCommand(stdout, onStatus);
  },
  symbols: ({ environment: { stdout }, onStatus }) => {
    const { createSymbolsCommand } = require("./symbols/symbols-command") as typeof import("./symbols/symbols-command");
    return createSymbolsCommand(stdout, onStatus);
  },
  lab: ({ environment, onStatus }) => {
    const { createLabCommand } = require("./lab/lab-command") as typeof import("./lab/lab-command");
    return createLabCommand(environment, onStatus);
  },
  machine: ({ environment, onStatus }) => {
    const { createMachineCommand } = require("./machine/machine-command") as typeof import("./machine/machine-command");
    return createMachineCommand(environment, onStatus);
  },
  analyze: ({ environment, onStatus }) => {
    const { createAnalyzeCommand } = require("./analyze/analyze-command") as typeof import("./analyze/analyze-command");
    return createAnalyzeCommand(environment, onStatus);
  },
  analyses: ({ environment, onStatus }) => {
    const module = require("./analyze/analyses-command") as typeof import("./analyze/analyses-command");
    return module.createAnalysesCommand(environment, onStatus);
  },
  serve: ({ environment, onStatus }) => {
    const { createServeCommand } = require("./serve/serve-command") as typeof import("./serve/serve-command");
    return createServeCommand(environment, onStatus);
  },
  host: ({ environment, onStatus }) => {
    const { createHostCommand } = require("./host/host-command") as typeof import("./host/host-command");
    return createHostCommand(environment, onStatus);
  },
  remote: ({ environment, onStatus }) => {
    const { createRemoteCommand } = require("./remote/remote-command") as typeof import("./remote/remote-command");
    return createRemoteCommand(environment, onStatus);
  },
  investigate: ({ environment, onStatus }) => {
    const module = require("./investigate/investigate-command") as typeof import("./investigate/investigate-command");
    return module.createInvestigateCommand(environment, process.stdin, onStatus);
  },
  config: ({ environment, onStatus }) => {
    const { createConfigCommand } = require("./config/config-command") as typeof import("./config/config-command");
    return createConfigCommand(environment, onStatus);
  },
  isf: ({ environment: { stdout }, onStatus }) => {
    const { createIsfCommand } = require("./isf-command") as typeof import("./isf-command");
    return createIsfCommand(stdout, onStatus);
  },
  vol: ({ environment: { stdout }, onStatus }) => {
    const { createVolCommand } = require("./vol-command") as typeof import("./vol-command");
    return createVolCommand(stdout, onStatus);
  },
  demo: ({ environment, onStatus }) => {
    const { createDemoCommand } = require("./demo-command") as typeof import("./demo-command");
    return createDemoCommand(environment, onStatus);
  },
  completion: ({ environment: { stdout } }) => loadCompletion().createCompletionCommand(stdout),
  manual: ({ environment: { stdout, projectFolder }, createProgram }) => {
    const { createManualCommand } = require("./manual/manual-command") as typeof import("./manual/manual-command");
    return createManualCommand(stdout, getReboxVersion(projectFolder), createProgram);
  },
};

/** The command that shells call at each completion, beside those of the help. */
export const HIDDEN_COMMANDS: Readonly<Record<string, CreateCommand>> = {
  complete: ({ environment: { stdout }, createProgram }) =>
    loadCompletion().createCompleteCommand(stdout, createProgram),
};

function loadCompletion() {
  return require("./completion/completion-commands") as typeof import("./completion/completion-commands");
}
