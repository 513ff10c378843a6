import type { Command } from "commander";
import { collect, parseGuestFolder, parseUser, parseVariable } from "./analyze-options";

/** Adds the options that say how a target is started, and on which machines: those of TargetOptions, in one order wherever they are. */
export function addTargetOptions<Target extends Command>(command: Target): Target {
  return command
    .option("--password <text>", 'of that archive; "infected" without it')
    .option("--argument <text>", "an argument of the target, of any text; may be given more than once", collect)
    .option("--env <name=value>", "a variable of its environment; may be given more than once", parseVariable)
    .option("--user <name>", "the user of the guest that it runs as", parseUser)
    .option("--folder <path>", "the folder of the guest in which it runs; its own without it", parseGuestFolder)
    .option("--platform <name>", "take a machine of this platform, where none is named")
    .option("--tag <tag>", "take a machine with this tag; may be given more than once", collect);
}
