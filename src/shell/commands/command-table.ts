import { findNearestName } from "../../config/nearest-name";
import type { Command } from "./command";
import { CommandError } from "../errors";
import { BACKTRACE_COMMANDS, CODE_COMMANDS } from "./list/code-commands";
import { BREAKPOINT_COMMANDS } from "./list/breakpoint-commands";
import { DOCTOR_COMMANDS } from "./list/doctor-commands";
import { createHelpCommand } from "./list/help-command";
import { IMAGE_COMMANDS } from "./list/image-commands";
import { PROCESS_CORE_COMMANDS } from "./list/processes/process-core-command";
import { INVESTIGATE_COMMANDS } from "./list/investigate-command";
import { MACHINE_COMMANDS } from "./list/machine-commands";
import { MEMORY_COMMANDS } from "./list/memory-commands";
import { OBSERVER_COMMANDS } from "./list/observer-commands";
import { PROCESS_COMMANDS } from "./list/processes/process-commands";
import { PROCESS_DETAIL_COMMANDS } from "./list/processes/process-detail-commands";
import { REGISTER_COMMANDS } from "./list/register-commands";
import { REPLAY_COMMANDS } from "./list/replay/replay-commands";
import { SCRIPT_COMMANDS } from "./list/script-commands";
import { SEARCH_COMMANDS } from "./list/search-commands";
import { SESSION_COMMANDS } from "./list/session-commands";
import { STEP_COMMANDS } from "./list/step-commands";
import { STRUCT_COMMANDS } from "./list/struct-commands";
import { SYMBOL_COMMANDS } from "./list/symbol-commands";
import { HISTORY_COMMANDS } from "./list/replay/history-commands";
import { TIME_COMMANDS } from "./list/replay/time-commands";
import { TRAVEL_COMMANDS } from "./list/replay/travel-commands";
import { VOLATILITY_COMMANDS } from "./list/volatility-commands";
import { WINDOWS_COMMANDS } from "./list/windows-commands";

const GROUPS: Readonly<Record<string, readonly Command[]>> = {
  processes: [...PROCESS_COMMANDS, ...PROCESS_DETAIL_COMMANDS, ...DOCTOR_COMMANDS],
  symbols: [...SYMBOL_COMMANDS, ...STRUCT_COMMANDS],
  windows: WINDOWS_COMMANDS,
  registers: REGISTER_COMMANDS,
  memory: [...MEMORY_COMMANDS, ...SEARCH_COMMANDS, ...IMAGE_COMMANDS, ...PROCESS_CORE_COMMANDS],
  code: [...CODE_COMMANDS, ...BACKTRACE_COMMANDS],
  breakpoints: BREAKPOINT_COMMANDS,
  machine: [...MACHINE_COMMANDS, ...STEP_COMMANDS],
  replay: [...REPLAY_COMMANDS, ...TRAVEL_COMMANDS, ...HISTORY_COMMANDS, ...TIME_COMMANDS],
  volatility: VOLATILITY_COMMANDS,
  investigations: INVESTIGATE_COMMANDS,
  scripts: [...SCRIPT_COMMANDS, ...OBSERVER_COMMANDS],
  shell: [
    ...SESSION_COMMANDS,
    createHelpCommand({ find: (name) => byName.get(name), get: getCommand, groups: listCommandGroups }),
  ],
};

const byName = new Map<string, Command>();
for (const command of Object.values(GROUPS).flat()) {
  for (const name of [command.name, ...(command.aliases ?? [])]) {
    if (byName.has(name)) throw new Error(`two commands are called ${name}`);
    byName.set(name, command);
  }
}

/** The names by which commands are called, aliases included. */
export function listCommandNames(): string[] {
  return [...byName.keys()].sort();
}

/** The commands in the groups in which the help lists them. */
export function listCommandGroups(): readonly (readonly [group: string, commands: readonly Command[]])[] {
  return Object.entries(GROUPS);
}

/** Gets a command by its name or alias. @throws CommandError that names the most similar one */
export function getCommand(name: string): Command {
  const command = byName.get(name);
  if (command) return command;
  const nearest = findNearestName(name, [...byName.keys()]);
  throw new CommandError(
    `there is no command ${name}${nearest === undefined ? "" : `; do you mean ${nearest}?`} All of them: help`,
  );
}
