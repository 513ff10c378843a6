import { goLive } from "../../../../machine/recording/leaving";
import { findStillMachine } from "../../../../machine/state/machine-access";
import { type Command, defineCommand } from "../../command";
import { CommandError } from "../../../errors";
import { describePlace, pauseReplay } from "../../replay-place";

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
  defineCommand({
    name: "go-live",
    isForLiving: true,
    help: "Leaves the recording that is replayed: from here the guest lives on as an ordinary one, and may be changed. There is no way back.",
    parse: (input) => input.end(),
    run: async (_, session) => {
      await pauseReplay(session, "go-live");
      await goLive();
      return describePlace(session);
    },
  }),
];
