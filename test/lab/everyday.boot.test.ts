import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { analyze } from "../kit/lab/analyze-run";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";

/** Work of every day on a real system, which nothing is wrong with. */
const WORK = {
  "a package is made and installed": `
mkdir -p own/DEBIAN own/usr/share/own
printf 'Package: own\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@example.org>\\nDescription: own\\n' > own/DEBIAN/control
echo text > own/usr/share/own/file
dpkg-deb --root-owner-group --build own own.deb
apt-get install --yes ./own.deb
cat /usr/share/own/file`,
  "a web server of Python answers": `
mkdir served; echo hello > served/file
python3 -m http.server --directory served 8123 & server=$!
python3 -c '
import time, urllib.request
for _ in range(50):
    try:
        print(urllib.request.urlopen("http://127.0.0.1:8123/file").read()); break
    except OSError:
        time.sleep(0.2)
else:
    raise SystemExit(1)'
kill $server`,
  "logs are read, files packed, and a service asked": `
journalctl -n 20 > log; dmesg | tail -5 >> log; systemctl status cron > status || true
tar -czf log.tar.gz log status; tar -tzf log.tar.gz; df; ps aux > processes; ss -tlnp; id; uname -a
find /etc -name '*.conf' | head -50 | xargs cat > /dev/null 2>&1 || true
python3 -m venv --without-pip venv; crontab -l || true`,
} as const;

test("the work of every day scores at most 2", { skip: NEEDS_DEBIAN }, async () => {
  await withDebian([], async (lab) => {
    const failures: string[] = [];
    for (const [index, [name, source]] of Object.entries(WORK).entries()) {
      const target = lab.write(`work-${index}.sh`, `#!/bin/sh\nset -e\ncd "$(mktemp -d)"\n${source}\n`);
      const { status, stdout } = await analyze(lab, "--machine", "office", "--target", target);
      assert.equal(status, 0, stdout);
      const { verdict, analysis } = JSON.parse(lab.read(`analyses/${index + 1}/report.json`)) as AnalysisReport;
      if (analysis.reason !== "the target ended with status 0") failures.push(`${name}: ${analysis.reason}\n${lab.read("state/office/console.log").slice(-1500)}`); // prettier-ignore
      const found = verdict!.findings.map(({ name: finding, score, evidence }) => `${finding} (${score}): ${evidence.map(({ text }) => text).join("; ")}`); // prettier-ignore
      if (verdict!.score > 2) failures.push(`${name}: ${verdict!.score}\n${found.join("\n")}`);
    }
    assert.equal(failures.join("\n\n"), "");
  });
});
