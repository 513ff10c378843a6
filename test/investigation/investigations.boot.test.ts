import assert from "node:assert/strict";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { InvestigationResult } from "../../src/investigation/result";
import { listKits } from "../kit/guests/guest-kits";
import {
  type InvestigatedGuest,
  investigate,
  readAddresses,
  untilFile,
  withInvestigatedGuest,
} from "../kit/investigations/investigation-run";

const QUESTION = '{"class":"parameters", "parameters":{"gethostname": true, "getaddresses": true}}';
const LOCAL = ["127.0.0.1/8", "::1/128"];

/** What the example module must say of a guest, by the guest's own words. */
function expectedElements({ report }: InvestigatedGuest): { hostname: string; addresses: string[] } {
  const addresses = readAddresses(report.text("/tmp/addresses")).filter((address) => !LOCAL.includes(address));
  assert.ok(addresses.length > 0, "the guest has no addresses");
  return { hostname: report.text("/tmp/hostname").trim(), addresses };
}

/** A module whose runs take long, in turns, and leave a mark while they go on. */
function slowModule(mark: string): string {
  return `
    import { writeFileSync } from "node:fs";
    import { Investigation, registerInvestigation, z } from "rebox/investigation";
    class Slow extends Investigation<{ paused?: boolean }> {
      protected readonly schema = z.strictObject({ paused: z.boolean().optional() });
      protected async investigate() {
        this.context.signal.addEventListener("abort", () => writeFileSync(${JSON.stringify(`${mark}.over`)}, ""));
        const wait = async () => {
          writeFileSync(${JSON.stringify(mark)}, "");
          for (;;) { await new Promise((r) => setTimeout(r, 5)); await this.context.turn(); }
        };
        await (this.parameters.paused ? this.context.whilePaused(wait) : wait());
        return { found: true, elements: {}, statistics: {} };
      }
    }
    registerInvestigation("slow", { newRun: (context) => new Slow(context) });
  `;
}

async function checkCommandLine(guest: InvestigatedGuest): Promise<void> {
  const { socket, folder } = guest;
  const elements = expectedElements(guest);
  const stufffound = 1 + elements.addresses.length;

  // MIG's command line: one line of JSON.
  const seed = await investigate(["-t", socket, "-m", "example"], [QUESTION]);
  assert.equal(seed.status, 0, seed.stderr);
  assert.equal(seed.stdout.split("\n").length, 2);
  const { statistics, ...rest } = seed.result();
  assert.deepEqual(rest, { foundanything: true, success: true, elements, errors: null });
  const { pausedms, ...counts } = statistics as { pausedms: number; stufffound: number };
  assert.deepEqual(counts, { stufffound });
  assert.ok(pausedms >= 0);
  assert.match(seed.stdout, /^\{"foundanything":.*"success":.*"elements":.*"statistics":.*"errors":null\}\n$/);

  // For people, in MIG's order of lines.
  const lookup =
    '{"class":"parameters","parameters":{"gethostname":true,"getaddresses":true,"lookuphost":["localhost"]}}';
  const pretty = await investigate(["-t", socket, "-p", "-m", "example"], [lookup]);
  const lines = pretty.stdout.trimEnd().split("\n");
  assert.deepEqual(lines.slice(0, stufffound), [
    `hostname is ${elements.hostname}`,
    ...elements.addresses.map((address) => `address is ${address}`),
  ]);
  assert.match(lines[stufffound]!, /^lookedup host localhost has IP (127\.0\.0\.1|::1)$/);
  assert.equal(lines.at(-1), `stat: ${stufffound} stuff found`);

  // The call of MIG's document has its members without more words, and look-ups do not count as found.
  const documented = (await investigate(["-t", socket, "-m", "example"], [lookup])).result();
  assert.deepEqual(Object.keys(documented.elements as object), ["hostname", "addresses", "lookeduphost"]);
  assert.equal(documented.errors, null);
  const unnamed = await investigate(
    ["-t", socket, "-m", "example"],
    ['{"class":"parameters","parameters":{"lookuphost":["localhost"],"resolver":"none"}}'],
  );
  assert.equal(unnamed.status, 3);
  assert.deepEqual(
    [unnamed.result().success, unnamed.result().foundanything, unnamed.result().elements],
    [true, false, {}],
  );
  assert.match(unnamed.result().errors![0]!, /nobody was asked/);
  const soft = await investigate(["-t", socket, "example", "-lookuphost", "nobody.invalid", "-resolver", "hosts-file"]);
  assert.match(soft.stdout, /^error: lookuphost nobody\.invalid: .*\nstat: 0 stuff found\n$/);
  assert.equal(soft.status, 3);

  // Bad questions are results, too.
  for (const host of ["not a host!", "-a.b", "x".repeat(64), ""]) {
    const bad = await investigate(
      ["-t", socket, "-m", "example"],
      [JSON.stringify({ class: "parameters", parameters: { lookuphost: [host] } })],
    );
    assert.equal(bad.status, 1);
    assert.equal(bad.result().errors?.length, 1);
    assert.match(bad.result().errors![0]!, /^ValidateParameters: LookupHost parameter is not a valid FQDN/);
  }
  for (const line of [[], ["{"], ['{"class":"stop"}'], ['{"class":"parameters","parameters":{"gethostname":"yes"}}']]) {
    const bad = await investigate(["-t", socket, "-m", "example"], line);
    assert.deepEqual([bad.status, bad.result().success, bad.result().errors?.length], [1, false, 1]);
  }
  const unknown = await investigate(["-t", socket, "-m", "exmaple"], [QUESTION]);
  assert.equal(unknown.status, 1);
  assert.deepEqual(unknown.result().errors, ["module 'exmaple' is not available; do you mean example?"]);

  // Flags, what is shown, privacy.
  const found = await investigate(["-t", socket, "--found", "example", "-gethostname"]);
  assert.equal(found.stdout, `hostname is ${elements.hostname}\n`);
  assert.equal((await investigate(["-t", socket, "--notfound", "example", "-gethostname"])).stdout, "");
  const masked = await investigate(["-t", socket, "--private", "--json", "example", "-gethostname"]);
  assert.deepEqual(masked.result().elements, { hostname: "masked" });
  const wrong = await investigate(["-t", socket, "example", "-gethostnam"]);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stdout, /there is no flag -gethostnam; do you mean -gethostname\?/);

  // Several operations, each result in its place.
  const action = join(folder, "action.json");
  const operations = [
    { module: "example", parameters: { gethostname: true } },
    { module: "none" },
    { module: "example", parameters: { getaddresses: true } },
  ];
  writeFileSync(action, JSON.stringify({ name: "an action", target: "all", operations }));
  const several = await investigate(["-t", socket, "-i", action]);
  assert.equal(several.status, 1);
  const answer = JSON.parse(several.stdout) as { status: string; results: InvestigationResult[] };
  assert.equal(answer.status, "failed");
  assert.deepEqual(
    answer.results.map((result) => result.elements),
    [{ hostname: elements.hostname }, null, { addresses: elements.addresses }],
  );
  writeFileSync(action, JSON.stringify({ expireafter: "2020-01-01T00:00:00Z", operations: operations.slice(0, 1) }));
  assert.match((await investigate(["-t", socket, "-i", action])).stdout, /"status":"expired"/);

  // A module asks for what it needs.
  const asked = await investigate(
    ["-t", socket, "--ask", "-m", "example"],
    ["help", "nonsense", "lookuphost not a host!", "gethostname", "done"],
  );
  assert.deepEqual(asked.result().elements, { hostname: elements.hostname }, asked.stderr);
  assert.match(asked.stderr, /say gethostname[^]*not a valid FQDN[^]*try again/);
  const echoed = await investigate(["-t", socket, "--ask", "-m", "examplepersist"], ["", "a word"]);
  assert.deepEqual(echoed.result().elements, { string: "a word" }, echoed.stderr);
  assert.match(echoed.stderr, /string must not be empty; try again/);
  const silent = await investigate(["-t", socket, "--ask", "-m", "process"], ["anything"]);
  assert.match(silent.stderr, /^rebox: process asks nobody for parameters/);
  const nobody = await investigate(["-t", socket, "--ask", "-m", "exmaple"], ["anything"]);
  assert.equal(nobody.stderr, "rebox: module 'exmaple' is not available; do you mean example?\n");
  const givenUp = await investigate(["-t", socket, "--ask", "-m", "example"], ["gethostname"]);
  assert.deepEqual([givenUp.status, givenUp.stdout], [0, "nothing was asked\n"]);
}

async function checkShell(guest: InvestigatedGuest): Promise<void> {
  const { hostname } = expectedElements(guest);
  const result = await guest.data<InvestigationResult>("investigate example -gethostname");
  assert.deepEqual(result.elements, { hostname });
  assert.deepEqual((await guest.data<InvestigationResult>(`investigate example ${QUESTION}`)).success, true);
  assert.deepEqual((await guest.data<InvestigationResult>('investigate example {"gethostname":true}')).elements, {
    hostname,
  });
  assert.match(await guest.text("investigate --found example -gethostname"), /^hostname is investigated$/);
  assert.match(await guest.text("investigate example help"), /-lookuphost NAME/);
  const modules = await guest.data<{ name: string; kind: string; state: string }[]>("investigate");
  assert.deepEqual(modules.find(({ name }) => name === "example")?.kind, "standard");
  assert.deepEqual(modules.find(({ name }) => name === "examplepersist")?.state, "running");
  assert.match(await guest.error("investigate --fuond example"), /no option --fuond/);
  assert.match(await guest.error("investigate example {"), /this is no JSON/);
}

/** Stop messages, Ctrl-C, and the end of who asked reach a module in the engine; the guest goes on. */
async function checkStops(guest: InvestigatedGuest, mark: string): Promise<void> {
  const { socket, client } = guest;
  const state = async () => (await guest.data<{ state: string }>("status")).state;
  const stopped = await investigate(["-t", socket, "-m", "slow"], ['{"class":"parameters"}', '{"class":"stop"}']);
  assert.deepEqual([stopped.status, stopped.result().errors], [1, ["stop message received, terminating early"]]);
  rmSync(mark);
  const interrupted = await investigate(["-t", socket, "slow"], [], {
    onStart: (pid) => void untilFile(mark).then(() => process.kill(pid, "SIGINT")),
  });
  assert.match(interrupted.stdout, /stop message received, terminating early/);
  const limited = await investigate(["-t", socket, "--timeout", "0.2", "-m", "slow"], ['{"class":"parameters"}']);
  assert.match(limited.result().errors![0]!, /did not end within 0\.2 s/);
  const paused = await investigate(
    ["-t", socket, "--timeout", "0.3", "-m", "slow"],
    ['{"class":"parameters","parameters":{"paused":true}}'],
  );
  assert.match(paused.result().errors![0]!, /did not end within/);
  assert.equal(await state(), "running");
  rmSync(mark);
  rmSync(`${mark}.over`);
  await investigate(["-t", socket, "slow"], [], {
    onStart: (pid) => void untilFile(mark).then(() => process.kill(pid, "SIGKILL")),
  });
  await untilFile(`${mark}.over`);
  rmSync(mark);
  const other = client.run('investigate slow {"paused":true}');
  await untilFile(mark);
  await client.interrupt();
  assert.match(JSON.stringify(await other), /stop message received, terminating early/);
  assert.equal(await state(), "running");
}

/** A persistent module with callbacks in the guest, of both kinds. */
const HOOKS = `
  import { CallbackManager } from "rebox";
  import { PersistentInvestigation, registerInvestigation, z } from "rebox/investigation";
  class Hooks extends PersistentInvestigation<object, object> {
    protected readonly configSchema = z.strictObject({});
    protected readonly schema = z.strictObject({});
    private count = 0;
    protected start() {
      this.context.callbacks.addCallback(CallbackManager.CREATEPROC_CB, () => void this.count++);
      new CallbackManager(0).addCallback(CallbackManager.REMOVEPROC_CB, () => undefined);
    }
    protected query() {
      return { found: this.count > 0, elements: this.count, statistics: {} };
    }
  }
  registerInvestigation("hooks", { newPersistentRun: (context) => new Hooks(context) });
`;

/** What a persistent module has registered in the guest goes with it. */
async function checkHooks({ text, data }: InvestigatedGuest): Promise<void> {
  const count = () =>
    data<number>("!listCallbacks().filter(({ type }) => /^(CREATE|REMOVE)PROC_CB$/.test(type)).length");
  const before = await count();
  await text("investigate --start hooks");
  assert.equal(await count(), before + 2);
  // The guest starts a process twice a second.
  while (!(await data<InvestigationResult>("investigate hooks")).foundanything) await sleep(50);
  await text("investigate --end hooks");
  assert.equal(await count(), before);
}

async function checkPersistent({ socket }: InvestigatedGuest): Promise<void> {
  const ask = () =>
    investigate(["-t", socket, "-m", "examplepersist"], ['{"class":"parameters","parameters":{"string":"hello"}}']);
  const first = await ask();
  const second = await ask();
  assert.deepEqual(first.result().elements, { string: "hello" }, first.stderr);
  const count = (run: typeof first) => (run.result().statistics as { queries: number }).queries;
  assert.equal(count(second), count(first) + 1);
  assert.equal((await investigate(["-t", socket, "-P", "-m", "examplepersist"])).status, 1);
  const ended = await investigate(["-t", socket, "-P", "-m", "dispatch"]);
  assert.deepEqual([ended.status, ended.stdout], [0, "dispatch is started\n"]);
}

for (const kit of listKits().filter(({ architecture }) => architecture === "amd64")) {
  test(`a living guest with ${kit.release} is asked by command line and shell, and says what it is`, async () => {
    const files = join(process.cwd(), "build/test-investigations", kit.release);
    mkdirSync(join(files, "modules/investigation"), { recursive: true });
    const mark = join(files, `mark-${process.pid}`);
    writeFileSync(join(files, "modules/investigation/slow.ts"), slowModule(mark));
    writeFileSync(join(files, "modules/investigation/hooks.ts"), HOOKS);
    writeFileSync(join(files, "rebox.conf"), "[MODULES]\n");
    const reboxArgs = ["--investigate", "examplepersist", "-c", join(files, "rebox.conf")];
    await withInvestigatedGuest({ kit, reboxArgs }, async (guest) => {
      await checkCommandLine(guest);
      await checkShell(guest);
      await checkStops(guest, mark);
      await checkPersistent(guest);
      await checkHooks(guest);
      // The same, of the guest's memory in a file.
      const image = join(guest.folder, "guest.core");
      await guest.text(`dump_memory ${image}`);
      const elements = expectedElements(guest);
      const still = await investigate(["-t", image, "-m", "example"], [QUESTION]);
      assert.deepEqual(still.result().elements, elements, still.stderr);
      assert.equal((still.result().statistics as { pausedms: number }).pausedms, 0);
      const lonely = await investigate(["-t", image, "-m", "examplepersist"], ['{"class":"parameters"}']);
      assert.match(lonely.result().errors![0]!, /^module examplepersist is not registered/);
      assert.ok(existsSync(image));
    });
  });
}
