import assert from "node:assert/strict";
import { test } from "node:test";
import { investigate } from "../kit/investigations/investigation-run";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest } from "../kit/lab/guest-machine";

const OWN = `
  import { Investigation, registerInvestigation, z } from "rebox/investigation";
  class Own extends Investigation<object> {
    protected readonly schema = z.strictObject({});
    protected investigate() {
      return { found: true, elements: this.context.getGuest().getProcessList().filter(({ pid }) => pid === 1).map(({ name }) => name), statistics: {} };
    }
  }
  registerInvestigation("own", (context) => new Own(context));
`;

test("a machine of a lab is asked by its name, also with a module of the lab; an analysis asks it and keeps the answers", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    const name = (await execute("hostname in-a-lab; hostname")).trim().split("\n").at(-1)!;
    assert.equal(name, "in-a-lab");
    lab.write("modules/investigation/own.ts", OWN);
    const asked = await investigate(["--lab", lab.folder, "-t", "g", "example", "-gethostname"]);
    assert.deepEqual([asked.status, asked.stdout], [0, "hostname is in-a-lab\nstat: 1 stuff found\n"], asked.stderr);
    const own = await investigate(["--lab", lab.folder, "-t", "g", "--json", "own"]);
    assert.deepEqual(own.result().elements, ["init"], own.stderr);
    const none = await investigate(["--lab", lab.folder, "-t", "h", "example", "-gethostname"]);
    assert.equal(none.status, 1);
    assert.match(none.stderr, /Machine with name h does not exist/);
    const settings = ["[investigations]", "enabled = yes", "modules = own, no-such", "when = both"];
    const analysis = await startModules(lab, settings, guest);
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("investigations").errors], [[], []]);
    const answers = JSON.parse(analysis.read("investigations.json")) as {
      phase: string;
      elements: unknown;
      errors: unknown;
    }[];
    const ofOwn = answers.filter(({ elements }) => elements !== null);
    assert.deepEqual(
      ofOwn.map(({ phase, elements }) => [phase, elements]),
      [
        ["start", ["init"]],
        ["end", ["init"]],
      ],
    );
    const events = analysis.eventsOf("investigation");
    assert.deepEqual(events.map(({ success }) => success).toSorted(), [false, false, true, true]);
  });
});

test("whom to ask must be said, and what is nobody is refused with what may be given", async () => {
  const nobody = await investigate(["-m", "example"], ["{}"]);
  assert.deepEqual([nobody.status, nobody.stdout], [1, ""]);
  assert.match(
    nobody.stderr,
    /^rebox: whom to ask is missing: -t takes the control socket .* a memory image, or local/,
  );
  assert.match((await investigate(["-t", "local"])).stderr, /say what is asked/);
  assert.match((await investigate(["-t", "no-such", "-m", "example"], ["{}"])).stderr, /neither a socket nor a file/);
  assert.match((await investigate(["-t", "local", "-m", "example", "-i", "x"])).stderr, /three ways/);
  const line = '{"class":"parameters","parameters":{"gethostname":true}}';
  const local = await investigate(["-t", "local", "-m", "example"], [line]);
  assert.deepEqual(
    [local.status, local.result().errors],
    [1, ["local is this host alone, and this module asks a guest: choose one with -t"]],
  );
  const help = await investigate(["example", "help"]);
  assert.deepEqual([help.status, help.stderr], [0, ""]);
  assert.match(help.stdout, /^example: the guest's host name/);
  const persistent = await investigate(["examplepersist", "-h"]);
  assert.deepEqual([persistent.status, persistent.stderr], [0, ""]);
  assert.match(persistent.stdout, /^examplepersist: .*\n -string TEXT/);
});
