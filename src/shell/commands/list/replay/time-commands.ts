import { Engine } from "../../../../machine/engine/engine";
import { getRecordedInstructions } from "../../../../machine/recording/recorded-instructions";
import { getFurthestCount } from "../../../../machine/recording/travel";
import { getInstructionCount } from "../../../../machine/state/instruction-count";
import { CommandError } from "../../../errors";
import { type Command, defineCommand } from "../../command";
import type { CommandResult } from "../../command-result";
import type { CommandSession } from "../../command-session";
import { pauseReplay } from "../../replay-place";

/** A name for a mark: it begins with a letter, so that no count is one. "end" is a place already. */
const NAME = /^(?!end$)[a-z]\w{0,31}$/i;

export const TIME_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "mark",
    isForLiving: true,
    usage: "[NAME]",
    help: "Marks this place of a replay by a name that begins with a letter: goto NAME goes there. Without a name, lists the marks.",
    parse: (input) => input.find(),
    run: async (name, session) => {
      if (name === undefined) return listMarks(session);
      if (!NAME.test(name)) throw new CommandError("a mark has a name of letters and digits that begins with a letter");
      const count = await pauseReplay(session, "mark");
      session.marks.set(name, count);
      return { kind: "data", text: `${name} is instruction ${count}`, data: { name, count } };
    },
  }),
  defineCommand({
    name: "timeline",
    isForLiving: true,
    help: "Tells of the time of a replay: where it is, how far it has been, and at which counts there are states, marks, places of back, and what the last when-... has listed.",
    parse: (input) => input.end(),
    run: (_, session) => describeTime(session),
  }),
];

function listMarks({ marks }: CommandSession): CommandResult {
  const rows = [...marks].map(([name, count]) => ({ name, count })).sort((one, other) => one.count - other.count);
  return { kind: "rows", columns: ["name", "count"], rows, note: rows.length === 0 ? "nothing is marked" : undefined };
}

function describeTime(session: CommandSession): CommandResult {
  const engine = Engine.get();
  if (engine.recording !== "replaying") throw new CommandError("timeline needs a replay: rebox replay FOLDER --shell");
  const instructions = getInstructionCount();
  const of = getRecordedInstructions() ?? instructions;
  const furthest = getFurthestCount();
  const states = engine.native.listStates();
  const places = [...session.pastPlaces];
  const hits = [...session.listedHits];
  const marks = [...session.marks].map(([name, count]) => ({ name, count }));
  const listed = [
    `instruction ${instructions} of ${of}, ${furthest} were replayed; ${states.length} states`,
    ...marks.map(({ name, count }) => `${name} ${count}`),
  ];
  return { kind: "data", text: listed.join("\n"), data: { instructions, of, furthest, states, places, hits, marks } };
}
