import { type Command, defineCommand } from "../command";
import { CommandError } from "../../errors";
import type { CommandSession } from "../command-session";
import { toCommandValue } from "../command-result";
import { GuestObservationFile } from "../guest-observer";
import { readJsonObject } from "../arguments/typed-values";

const observations = new WeakMap<CommandSession, Map<number, GuestObservationFile>>();
let lastNumber = 0;

function ofSession(session: CommandSession): Map<number, GuestObservationFile> {
  const own = observations.get(session) ?? new Map<number, GuestObservationFile>();
  observations.set(session, own);
  return own;
}

export const OBSERVER_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "observe",
    isForLiving: true,
    usage: "FILE [OPTIONS]",
    help: "Loads a file that observes the guest for this shell, and tells what it sees here: it exports observe(observer).\nOPTIONS is an object in JSON. What it has registered goes with observe_end, or with the shell.",
    parse: (input) => ({
      file: readPath(input.get("a file")),
      options: readJsonObject("the options of observe", input.rest()),
    }),
    run: async ({ file, options }, session) => {
      const observation = await GuestObservationFile.load(file, options, session);
      const number = ++lastNumber;
      ofSession(session).set(number, observation);
      return { kind: "data", text: `${file} observes as number ${number}`, data: { number, file } };
    },
  }),
  defineCommand({
    name: "observe_end",
    isForLiving: true,
    usage: "NUMBER",
    help: "Ends what observe began in this shell, and shows what the file has to say at its end.",
    parse: (input, session) => {
      const text = input.get("the number that observe has told");
      if (!ofSession(session).has(Number(text)))
        throw new CommandError(`this shell observes nothing as number ${text}`);
      return Number(text);
    },
    run: async (number, session) => {
      const observation = ofSession(session).get(number)!;
      ofSession(session).delete(number);
      const data = toCommandValue(await observation.end());
      return { kind: "data", text: data === null ? "" : JSON.stringify(data), data };
    },
  }),
];

/** A path with blanks in it stands in quotes. */
function readPath(word: string): string {
  if (!word.startsWith('"')) return word.replace(/^'(.*)'$/s, "$1");
  try {
    return String(JSON.parse(word));
  } catch {
    throw new CommandError(`observe: ${word} is no text in JSON`);
  }
}
