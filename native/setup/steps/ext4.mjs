import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Fingerprint } from "../fingerprint.mjs";
import { hostSystem } from "../qemu-configuration.mjs";
import { places } from "../places.mjs";

const SOURCE = join(places.root, "native/ext4/ext4_reader.c");

/** Makes the step that builds the program which reads ext4 file systems of guests, from e2fsprogs' library. */
export function ext4Step() {
  const output = join(places.build, "ext4/ext4_reader");
  const inputs = () => new Fingerprint().text("host", hostSystem()).file(SOURCE);
  return {
    name: "ext4",
    isDone: () => existsSync(output) && inputs().matches("ext4"),
    act: async (task) => {
      const built = inputs();
      mkdirSync(join(places.build, "ext4"), { recursive: true });
      const flags = ["-O2", "-Wall", "-Wextra", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"];
      await task.run("gcc", [...flags, "-o", output, SOURCE, "-lext2fs", "-lcom_err"]);
      built.save("ext4");
      return "built";
    },
  };
}
