import { findStillMachine } from "../../../../machine/state/machine-access";
import { type Command, defineCommand } from "../../command";
import { CommandError } from "../../../errors";
import { describePlace } from "../../replay-place";

export const REPLAY_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "where",
    isForLiving: true,
    help: "Tells where the guest is: how many instructions it has executed, and at which address it is.",
    parse: (input) => input.end(),
    run: (_, session) => {
      if (findStillMachine()) throw new CommandError("this is an image: it is nowhere in time");
      return describePlace(session);
    },
  }),
];
