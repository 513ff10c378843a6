import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Fingerprint } from "../fingerprint.mjs";
import { hostSystem } from "../qemu-configuration.mjs";
import { places } from "../places.mjs";

const SOURCE = join(places.root, "native/network/tap_launcher.c");

/** Makes the step that builds the program which connects machines of a lab to a simulated network. */
export function tapStep() {
  const output = join(places.build, "network/tap_launcher");
  const inputs = () => new Fingerprint().text("host", hostSystem()).file(SOURCE);
  return {
    name: "tap",
    isDone: () => existsSync(output) && inputs().matches("tap"),
    act: async (task) => {
      const built = inputs();
      mkdirSync(join(places.build, "network"), { recursive: true });
      const flags = ["-O2", "-Wall", "-Wextra", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"];
      await task.run("gcc", [...flags, "-o", output, SOURCE]);
      built.save("tap");
      return "built";
    },
  };
}
