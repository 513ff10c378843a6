import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fixLab } from "../../src/cli/doctor/fix-lab";
import { checkLab } from "../../src/cli/doctor/lab-programs";
import { inFolder } from "../kit/in-folder";

/** Returns the package that has installed a program here; undefined where dpkg knows none. */
function findPackage(program: string): string | undefined {
  const places = ["usr/sbin", "usr/bin", "sbin", "bin"].map((folder) => `/${folder}/${program}`);
  return places.map((path) => /^([^:]+):/.exec(spawnSync("dpkg-query", ["-S", path], { encoding: "utf8" }).stdout)?.[1]).find((name) => name !== undefined); // prettier-ignore
}

/** Tells whether a package that is installed here brings another one. */
function dependsOn(name: string, other: string): boolean {
  const { stdout } = spawnSync("dpkg-query", ["-W", "-f", "${Depends}", name], { encoding: "utf8" });
  return stdout.split(/[,|]/).some((word) => word.trim().split(" ")[0] === other);
}

describe("what a lab needs of the system", () => {
  test("is named with its use and its packages where nothing of it is there", () =>
    inFolder(async (folder) => {
      const checks = checkLab(folder).filter(({ name }) => name !== "Volatility");
      assert.deepEqual([...new Set(checks.map(({ status }) => status))], ["warn"]);
      const networks = checks.find(({ name }) => name === "networks")!;
      assert.equal(networks.detail, "unshare, mount, ip, nft, dnsmasq, inetsim, openssl missing: an analysis has a simulated network"); // prettier-ignore
      assert.match(networks.advice!, /^install util-linux mount iproute2 nftables dnsmasq-base inetsim openssl$/);
    }));

  test("is there when one of several programs is that serve as well as one another", () =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, "firefox"), "", { mode: 0o755 });
      writeFileSync(join(folder, "yara"), "", { mode: 0o644 });
      const status = (wanted: string) => checkLab(folder).find(({ name }) => name === wanted)!.status;
      assert.deepEqual([status("browser"), status("YARA")], ["ok", "warn"]);
    }));

  test("is in the packages that are named, as this system's own list of files says", () =>
    inFolder(async (folder) => {
      let compared = 0;
      for (const { detail, missing } of checkLab(folder)) {
        const programs = / missing: /.test(detail) ? detail.split(" missing: ")[0]!.split(", ") : [];
        for (const program of programs) {
          const found = findPackage(program);
          if (found === undefined) continue;
          assert.ok(
            missing.some((name) => name === found || dependsOn(name, found)),
            `${program} is in ${found}, not in ${missing.join(" ")}`,
          );
          compared++;
        }
      }
      assert.ok(compared >= 10, String(compared));
    }));

  test("is installed by apt, or the error says what to do", () =>
    inFolder(async (folder) => {
      const calls: string[] = [];
      const ends = (status: (line: string) => number | undefined) => (command: string, args: readonly string[]) => {
        calls.push([command, ...args].join(" "));
        return status(calls.at(-1)!);
      };
      const fix = (status: (line: string) => number | undefined) => fixLab(() => undefined, ends(status), folder);
      assert.throws(() => fix(() => undefined), /^UsageError: this system has no apt: install what Debian calls tcpdump .* yara /); // prettier-ignore
      const fails = (line: string) => (line.includes("install") ? 100 : 0);
      assert.throws(() => fix(fails), /apt-get install ended with 100; as root: apt-get install --no-install-recommends tcpdump /); // prettier-ignore
      assert.match(calls.at(-1)!, /apt-get --quiet .* install --yes --no-install-recommends tcpdump .*cabextract/);
    }));
});
