import type { NativeAddon } from "../../machine/engine/native";
import { listCommands, listModules } from "../../scripts/module-control";
import { ScriptError } from "../../scripts/errors";
import type { ScriptHost } from "../../scripts/script-host";
import { toColouredText } from "../../config/terminal-text";
import { type RunCommandLine, type MonitorArguments, MonitorCommands } from "./monitor-commands";

/** The time that a monitor waits for an answer, in milliseconds: longer than a script's own functions may take, so that their limits come first. */
export const MONITOR_TIMEOUT_MS = 90_000;

/** The part of the addon that hands commands over. */
type CommandPort = Pick<NativeAddon, "serveCommands" | "endCommands" | "answerCommand" | "setCommandWords">;

const CHANGES = ["loaded", "reloaded", "unloaded"] as const;

/** Answers the monitor's commands of rebox: those of people (HMP) and those of programs (QMP). */
export class MonitorService {
  private readonly commands: MonitorCommands;
  private readonly update = () => this.publishWords();

  /**
   * Begins to answer. The scripts must be those that module-control.ts is about.
   *
   * @param port the addon of the running engine
   * @param scripts whose changes are followed, so that a monitor completes handles and names of scripts, and names of commands
   * @param runCommandLine the shell behind `sh`
   * @param timeoutMs after which a command without an answer fails, in milliseconds
   */
  constructor(
    private readonly port: CommandPort,
    private readonly scripts: ScriptHost,
    runCommandLine: RunCommandLine,
    timeoutMs = MONITOR_TIMEOUT_MS,
  ) {
    this.commands = new MonitorCommands(runCommandLine);
    for (const change of CHANGES) scripts.on(change, this.update);
    port.serveCommands((id, isForPerson, command, args) => {
      // Not in the call itself: that one counts as a callback, which is cut off sooner than a command.
      queueMicrotask(() => void this.answer(id, isForPerson, command, JSON.parse(args) as MonitorArguments));
    }, timeoutMs);
    this.publishWords();
  }

  /** Ends the service: commands without an answer fail, and so does every later command. */
  close(): void {
    for (const change of CHANGES) this.scripts.off(change, this.update);
    this.port.endCommands();
  }

  private async answer(id: number, isForPerson: boolean, command: string, args: MonitorArguments): Promise<void> {
    try {
      const { text, value } = await this.commands.execute(command, args);
      this.port.answerCommand(id, false, isForPerson ? toColouredText(text) : toJson(value));
    } catch (error) {
      this.port.answerCommand(id, true, describe(error, isForPerson));
    }
  }

  private publishWords(): void {
    const modules = listModules().flatMap(({ handle, name }) => [String(handle), name]);
    const names = listCommands().map(({ name }) => name);
    this.port.setCommandWords(modules.join("\n"), names.join("\n"));
  }
}

function toJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === "bigint" ? `0x${member.toString(16)}` : member,
  );
}

function describe(error: unknown, isForPerson: boolean): string {
  if (!(error instanceof Error)) return toColouredText(String(error));
  return toColouredText(isForPerson && error instanceof ScriptError ? error.toReport() : error.message);
}
