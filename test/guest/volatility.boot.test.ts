import { defaultKit, listKits } from "../kit/guests/guest-kits";
import { compareVolatility } from "../kit/systems/volatility-comparison";

/** What shows that memory above the hole below 4 GiB is where it belongs: lists, and what processes have in their own memory. */
const SOME = ["linux.pslist", "linux.psaux", "linux.lsof"];

const kit = defaultKit();
compareVolatility({ name: `${kit.release} and 512 MiB`, kit, qemuArgs: ["-m", "512"] });
compareVolatility({ name: `${kit.release} and 3.5 GiB`, kit, qemuArgs: ["-m", "3584"], plugins: SOME });
compareVolatility({ name: `${kit.release} and 6 GiB`, kit, qemuArgs: ["-M", "q35", "-m", "6144"], plugins: SOME });
for (const other of listKits().filter(({ release }) => release.startsWith("6.12."))) {
  compareVolatility({ name: `${other.release} and 6 GiB`, kit: other, qemuArgs: ["-m", "6144"] });
}
