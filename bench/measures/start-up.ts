import { alternate } from "../alternation";
import { getGuestArguments } from "../guest-arguments";
import { startInside, startPlainQemu, startReboxRun } from "../guest-process";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** How long it takes from the start of the process to a guest that is ready, and to an engine that is. */
export const startUp: Measure = {
  name: "start-up",
  needsPlainQemu: true,
  async run(context) {
    const ready = new SampleCollection("start-up: guest is ready", "ms");
    const created = new SampleCollection("start-up: engine is created", "ms");
    await alternate(this.name, context, async (side) => {
      const args = getGuestArguments("poweroff");
      await using guest = side === "rebox" ? startReboxRun(args) : startPlainQemu(args);
      await guest.waitForFact("ready");
      ready[side === "rebox" ? "addRebox" : "addPlain"](performance.now() - guest.startedMs);
    });
    for (let turn = 0; turn < context.pairs; turn++) {
      context.say(`${this.name}: engine, ${turn + 1} of ${context.pairs}`);
      await using engine = startInside("creation", getGuestArguments("poweroff"));
      await engine.waitForMessage();
      created.addRebox(performance.now() - engine.startedMs);
    }
    return [ready.toRow(), created.toRow()];
  },
};
