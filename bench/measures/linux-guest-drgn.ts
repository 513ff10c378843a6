import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCacheFolder, getProjectFolder } from "../../src/config/folders";
import { getBuildFolder, getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import { LISTS, type ProcessListReport, ROUNDS } from "../inside/linux-guest-drgn";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";
import { getMedian } from "../sample-summary";

const SLEEPERS = 100;

/** Where set-up leaves drgn and the kernel with its debug information; undefined when they are not there. */
function findDrgn(): { readonly python: string; readonly vmlinux: string } | undefined {
  const folder = getCacheFolder("drgn");
  const kit = join(getBuildFolder(), "guest", "guest.json");
  if (!existsSync(kit)) return undefined;
  const { release } = JSON.parse(readFileSync(kit, "utf8")) as { readonly release: string };
  const found = { python: join(folder, "venv", "bin", "python3"), vmlinux: join(folder, `vmlinux-${release}`) };
  return existsSync(found.python) && existsSync(found.vmlinux) ? found : undefined;
}

/** The first third of the rounds is for V8 to compile. */
function summarize({ listMs }: ProcessListReport): number {
  return getMedian(listMs.slice(ROUNDS / 3));
}

/** How long the list of processes takes, beside drgn's of the same guest's memory. */
export const linuxGuestDrgn: Measure = {
  name: "linux-guest-drgn",
  async run({ pairs, say }) {
    const drgn = findDrgn();
    if (!drgn) {
      say(`${this.name}: left out, drgn is not there; set it up with node native/setup/main.mjs --for drgn`);
      return [];
    }
    const list = new SampleCollection("linux-guest-drgn: list of processes, CPU time", "ms");
    const first = new SampleCollection("linux-guest-drgn: attach and first list, CPU time", "ms");
    const count = new SampleCollection("linux-guest-drgn: processes", "");
    const script = join(getProjectFolder(), "bench", "drgn", "process_list.py");
    for (let turn = 0; turn < pairs; turn++) {
      say(`${this.name}: ${turn + 1} of ${pairs}`);
      const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
      try {
        const args = getGuestArguments("sleepers", { count: SLEEPERS });
        await using guest = startInside("linux-guest-drgn", [folder, ...args]);
        await guest.waitForFact("sleepers");
        guest.proceed();
        const own = await guest.waitForMessage<ProcessListReport>();
        const paths = [join(folder, "core"), join(folder, "vmcoreinfo"), drgn.vmlinux];
        const text = execFileSync(drgn.python, [script, ...paths, String(ROUNDS), String(LISTS)], { encoding: "utf8" });
        const other = JSON.parse(text) as ProcessListReport;
        if (JSON.stringify(sort(own)) !== JSON.stringify(sort(other))) {
          throw new Error(`${this.name}: the two lists differ:\n${JSON.stringify([sort(own), sort(other)])}`);
        }
        list.addRebox(summarize(own));
        list.addPlain(summarize(other));
        first.addRebox(own.firstMs);
        first.addPlain(other.firstMs);
        count.addRebox(own.processes.length);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    return [list, first, count].map((row) => row.toRow());
  },
};

function sort({ processes }: ProcessListReport): ProcessListReport["processes"] {
  return processes.toSorted(([a], [b]) => a - b);
}
