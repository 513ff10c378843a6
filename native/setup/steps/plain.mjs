import { qemuConfiguration } from "../qemu-configuration.mjs";
import { qemuPatches } from "../qemu-patches.mjs";
import { ResultStore } from "../result-store.mjs";
import { qemuBuildStep } from "./qemu.mjs";

/** Makes the step that builds the unmodified QEMU executable, which benchmarks compare with. */
export function plainStep() {
  return qemuBuildStep({
    name: "plain",
    store: new ResultStore("plain", "plain"),
    targets: ["qemu-system-x86_64"],
    // For the plugins that benchmarks load into it: one of their own, and one of QEMU's.
    beside: ["include/qemu/qemu-plugin.h", "contrib/plugins/drcov.c"],
    patches: () => qemuPatches({ plainOnly: true }),
    configuration: qemuConfiguration({ library: false }),
    native: false,
  });
}
