import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { test } from "node:test";
import type { AnalysisRecord } from "../../src/lab/analysis/analysis-record";
import { writeReport } from "../../src/lab/analysis/report/write-report";
import { type GuestAnalysis, startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { NEEDS_BROWSER, withPage } from "../kit/lab/browser";
import { withGuest } from "../kit/lab/guest-machine";

const MODULES = ["console", "netcapture", "processes", "screenshots", "syscalls", "usage"];
const SETTINGS = [
  ...MODULES.flatMap((name) => [`[${name}]`, "enabled = yes", ...(name === "syscalls" ? ["processes = new"] : [])]),
  "interval_ms = 100",
];
const NETWORK =
  "-netdev user,id=n0,guestfwd=tcp:10.0.2.100:80-cmd:cat -device virtio-net-pci,netdev=n0 -object filter-dump,id=f0,netdev=n0,file=g.pcap";
const UP = "ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up";
/** Names and texts of the guest that would be markup. */
const EVIL = "<i>x&amp;";
const EVIL_FILE = "/tmp/<img src=x onerror=alert(1)>";

function recordOf({ runner }: GuestAnalysis, began: Date): AnalysisRecord {
  return {
    ...{ id: 7, target: undefined, command: `'/tmp/${EVIL}' 1`, options: {}, timeoutS: 60 },
    machine: { name: "g", machinery: "rebox", platform: "linux" },
    ...{ created: began.toISOString(), ended: new Date().toISOString() },
    phases: [{ phase: "running", began: began.toISOString() }],
    ...{ outcome: "finished", reason: "the command ended with 0", auxiliary: runner.status, log: [] },
  };
}

test(
  "a browser shows the report of an analysis: what happened in the guest, as text, and nothing else",
  { skip: NEEDS_BROWSER },
  async () => {
    await withGuest({ args: NETWORK }, async ({ lab, guest, execute }) => {
      await execute("for module in $(cat /modules/order); do insmod /modules/$module.ko; done");
      const began = new Date();
      const analysis = await startModules(lab, SETTINGS, guest);
      await execute(`${UP}; cp /bin/calls '/tmp/${EVIL}'`);
      const output = await execute(`'/tmp/${EVIL}' 1 > /dev/null & echo evil $!; wait`);
      await execute(`/bin/sh -c 'echo hello > "${EVIL_FILE}"'`);
      await execute("echo hello | /bin/nc 10.0.2.100 80 | head -1");
      await stopModules(analysis);
      assert.deepEqual(analysis.log, []);
      writeReport(analysis.folder, recordOf(analysis, began));
      const file = analysis.path("report.html");
      const evil = Number(/^evil (\d+)$/m.exec(output)![1]);

      await withPage(file, async (page) => {
        const textOf = (selector: string) =>
          page.evaluate<string>(
            `document.querySelector(${JSON.stringify(selector)}).textContent.replace(/\\s+/g, " ")`,
          );
        assert.equal(await page.evaluate<string>("document.title"), `Analysis 7: '/tmp/${EVIL}' 1`);
        assert.ok((await textOf("#summary")).includes("finished the command ended with 0"));
        assert.ok((await textOf("#processes")).includes(`${evil} ${EVIL} /tmp/${EVIL} 1`), await textOf("#processes"));
        assert.ok((await textOf("#network")).includes("address=10.0.2.100 port=80"));
        assert.match(await textOf("#captures"), /tcp 10\.0\.2\.15:\d+ 10\.0\.2\.100:80 \d+ \d+/);
        assert.ok((await textOf("#files")).includes(`path=${EVIL_FILE}`));
        assert.match(await textOf("#calls"), new RegExp(`${evil} ${EVIL} \\d+ .*\\bopenat \\d+`));
        for (const name of MODULES) assert.ok((await textOf("#modules")).includes(`${name} stopped`), name);
        const pictures = await page.evaluate<[number, number][]>(
          "[...document.images].map((image) => [image.naturalWidth, image.naturalHeight])",
        );
        assert.deepEqual(pictures[0], [720, 400]);
        assert.equal(pictures.length, analysis.list("shots").length);
        assert.ok(pictures.every(([width, height]) => width > 0 && height > 0));
        // Lines that are drawn have a size.
        const lines = await page.evaluate<number[]>("[...document.querySelectorAll('#usage polyline')].map((line) => line.getBoundingClientRect().width)"); // prettier-ignore
        assert.ok(lines.length >= 4 && lines.every((width) => width > 100), lines.join());
        assert.equal(await page.evaluate("document.querySelectorAll('script, i, [onerror]').length"), 0);
        assert.deepEqual([page.requests, page.complaints], [[pathToFileURL(file).href], []]);
      });
    });
  },
);
