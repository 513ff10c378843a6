import { existsSync } from "node:fs";
import { join } from "node:path";
import { writeFileSync, mkdirSync } from "node:fs";
import { Readable } from "node:stream";
import { chromium } from "playwright-core";
import { getBuildFolder } from "../guest-arguments";
import type { Measure } from "../measure";
import type { Limit } from "../result-row";
import { SampleCollection } from "../sample-collection";
import { addAnalyses, addLargeAnalysis, type ServedLab, withLabFolder, withServedLab } from "../served-lab";

const ANALYSES = 100_000;
const EVENTS = 1_000_000;
/** Files that are handed in, one after the other, while analyses run. */
const SUBMISSIONS = 100;
/** A large one, in pieces of a MiB. */
const LARGE_MIB = 1_024;
const BROWSER = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => existsSync(path));

/** Filters of events: the first finds a page at once, the others have to look at all. */
const FILTERS = [
  ["a text that is once in them", "text=/tmp/999998"],
  ["a text that is nowhere", "text=nowhere-to-be-found"],
  ["a type that is not there", "type=kernel.loaded"],
  ["a process that is not there", "pid=77777"],
  ["a type, and a process without it", "type=process.created&pid=77777"],
] as const;

function atMost(value: number): Limit {
  return { of: "value", bound: "at most", value };
}

/** How quick `rebox serve` is with many analyses, and with a large one. */
export const server: Measure = {
  name: "server",
  async run({ pairs, say }) {
    const start = new SampleCollection("start of the server: to its first answer", "ms", atMost(400));
    const list = new SampleCollection(`page with the newest of ${ANALYSES} analyses`, "ms", atMost(100));
    const api = new SampleCollection(`the same by the API`, "ms", atMost(100));
    const filters = FILTERS.map(([name, query]) => ({ query, row: new SampleCollection(`events out of ${EVENTS}: ${name}`, "ms", atMost(150)) })); // prettier-ignore
    const page = new SampleCollection(`page of an analysis with ${EVENTS} events: the server's answer`, "ms");
    const paint = new SampleCollection(`page of an analysis with ${EVENTS} events: first paint`, "ms", atMost(300));
    const submitted = new SampleCollection("submissions in a minute, while analyses run", "", { of: "value", bound: "at least", value: 200 }); // prettier-ignore
    const large = new SampleCollection(`memory of the server while a file of ${LARGE_MIB} MiB is handed in`, "MiB", atMost(200)); // prettier-ignore
    const memory = new SampleCollection("memory of the server after all this", "MiB", atMost(200));
    await withLabFolder(async (folder) => {
      addMachines(folder);
      say(`${this.name}: making ${ANALYSES} analyses`);
      addAnalyses(folder, ANALYSES);
      say(`${this.name}: making one with ${EVENTS} events`);
      const id = addLargeAnalysis(folder, EVENTS);
      // The first start keeps the code that V8 has compiled, for all others.
      await withServedLab(folder, async () => undefined);
      for (let turn = 0; turn < pairs; turn++)
        await withServedLab(folder, async ({ startMs }) => start.addRebox(startMs));
      await withServedLab(folder, async (lab) => {
        for (let turn = 0; turn < pairs; turn++) {
          say(`${this.name}: ${turn + 1} of ${pairs}`);
          list.addRebox(await time(lab, "/"));
          api.addRebox(await time(lab, "/api/v1/analyses?limit=50"));
          for (const { query, row } of filters) row.addRebox(await time(lab, `/api/v1/analyses/${id}/events?${query}`));
          page.addRebox(await time(lab, `/analyses/${id}`));
        }
        if (BROWSER === undefined) say(`${this.name}: no browser, so no first paint`);
        else for (const sample of await paints(lab, BROWSER, `/analyses/${id}`, pairs)) paint.addRebox(sample);
        say(`${this.name}: a large file`);
        large.addRebox(await lab.readPeakMiB(() => submitLarge(lab)));
        say(`${this.name}: submissions`);
        submitted.addRebox(await submitMany(lab));
        memory.addRebox(lab.readMemoryMiB());
      });
    });
    const rows = [start, list, api, ...filters.map(({ row }) => row), page, ...(BROWSER === undefined ? [] : [paint]), submitted, large, memory]; // prettier-ignore
    return rows.map((row) => row.toRow());
  },
};

async function time({ url, cookie }: ServedLab, path: string): Promise<number> {
  const beganMs = performance.now();
  const answer = await fetch(url + path, { headers: { cookie } });
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return performance.now() - beganMs;
}

/** Returns how long a browser takes, from asking for a page to its first paint with content. */
async function paints({ url, cookie }: ServedLab, program: string, path: string, times: number): Promise<number[]> {
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] }); // prettier-ignore
  try {
    const context = await browser.newContext();
    const [name, value] = cookie.split("=") as [string, string];
    await context.addCookies([{ name, value, url }]);
    const page = await context.newPage();
    const samples: number[] = [];
    for (let turn = 0; turn < times; turn++) {
      await page.goto(url + path);
      const script = `new Promise((resolve) => new PerformanceObserver((list) => {
        const entry = list.getEntriesByName("first-contentful-paint")[0];
        if (entry !== undefined) resolve(entry.startTime);
      }).observe({ type: "paint", buffered: true }))`;
      samples.push(await page.evaluate<number>(script));
    }
    return samples;
  } finally {
    await browser.close();
  }
}

/** Hands files in, one after the other, while two analyses run. @returns how many in a minute */
async function submitMany({ url, authorization }: ServedLab): Promise<number> {
  const headers = { authorization };
  const submit = async (fields: Readonly<Record<string, string | Blob>>) => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    const answer = await fetch(`${url}/api/v1/analyses`, { method: "POST", headers, body: form });
    if (answer.status !== 201) throw new Error(`a submission was refused: ${await answer.text()}`);
    return ((await answer.json()) as { ids: [number] }).ids[0];
  };
  const list = async (state: string) => ((await (await fetch(`${url}/api/v1/analyses?limit=500&state=${state}`, { headers })).json()) as { analyses: { id: number; phase: string }[] }).analyses; // prettier-ignore
  const busy = "while :; do :; done";
  for (const machine of ["m1", "m2"]) await submit({ command: busy, machine, timeout: "600" });
  while ((await list("running")).filter(({ phase }) => phase === "running").length < 2) await new Promise((resolve) => setTimeout(resolve, 100)); // prettier-ignore
  const beganMs = performance.now();
  for (let count = 0; count < SUBMISSIONS; count++)
    await submit({ file: new Blob([Buffer.alloc(256 << 10, `sample ${count}`)]), machine: "m1" });
  const tookMs = performance.now() - beganMs;
  for (const state of ["waiting", "running"]) {
    for (const { id } of await list(state)) await fetch(`${url}/api/v1/analyses/${id}/cancel`, { method: "POST", headers }); // prettier-ignore
  }
  while ((await list("running")).length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  return (SUBMISSIONS * 60_000) / tookMs;
}

/** Hands in a file that is sent as it is made, and removes its analysis. */
async function submitLarge({ url, authorization }: ServedLab): Promise<void> {
  const piece = Buffer.alloc(1 << 20, "large ");
  const head = `--x\r\ncontent-disposition: form-data; name="file"; filename="large"\r\n\r\n`;
  async function* makeForm() {
    // It waits, so that it can be ended at once.
    yield Buffer.from(`--x\r\ncontent-disposition: form-data; name="not_before"\r\n\r\n2100-01-01T00:00:00Z\r\n${head}`); // prettier-ignore
    for (let at = 0; at < LARGE_MIB; at++) yield piece;
    yield Buffer.from("\r\n--x--\r\n");
  }
  const headers = { authorization, "content-type": "multipart/form-data; boundary=x" };
  const init = { method: "POST", headers, body: Readable.toWeb(Readable.from(makeForm())), duplex: "half" };
  const answer = await fetch(`${url}/api/v1/analyses`, init as RequestInit);
  if (answer.status !== 201) throw new Error(`the large file was refused: ${await answer.text()}`);
  const { ids } = (await answer.json()) as { ids: [number] };
  for (const [method, path] of [
    ["POST", "/cancel"],
    ["DELETE", ""],
  ] as const) {
    const done = await fetch(`${url}/api/v1/analyses/${ids[0]}${path}`, { method, headers: { authorization } });
    if (!done.ok) throw new Error(`its analysis goes on: ${await done.text()}`);
  }
}

/** Gives a lab two machines of the guest kit. */
function addMachines(folder: string): void {
  const kit = join(getBuildFolder(), "guest");
  const append = "console=ttyS0 quiet no_timer_check panic=-1 rebox.run=console";
  const machine = (name: string) =>
    `  ${name}:\n    platform: linux\n    kernel: ${kit}/vmlinuz\n    initrd: ${kit}/initramfs.cpio.gz\n    memory: 256M\n    append: "${append}"\n`; // prettier-ignore
  mkdirSync(join(folder, "conf/machineries"), { recursive: true });
  writeFileSync(join(folder, "conf/machineries/rebox.yaml"), `machines:\n${machine("m1")}${machine("m2")}`);
}
