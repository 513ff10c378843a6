import { cpSync, readFileSync, statSync, truncateSync } from "node:fs";
import { makeExt4, writeTree } from "../kit/guests/disk-image";
import { defaultKit, type GuestKit, listKits } from "../kit/guests/guest-kits";
import { machineArgs, RecordingFolder, type RecordingRun, SUM_UP } from "../kit/guests/recording-run";
import { Random } from "./random";

/** What the guest does, one of them after the other, until its time is over. */
const ACTS = [
  "dd if=/dev/urandom of=/mnt/f$i bs=4k count=$n 2> /dev/null; sync",
  "cat /mnt/f* | md5sum",
  "echo 3 > /proc/sys/vm/drop_caches; cat /mnt/f* | md5sum",
  "for j in 1 2 3 4 5 6 7 8; do (exit $j) & done; wait",
  "ping -c 2 -i 0.1 -s $n 10.0.2.2 | grep -c 'bytes from'",
  "sleep 0.$i",
  "k=0; while [ $k -lt $n ]; do k=$((k + 1)); done; echo $k",
  "find / -xdev -type f 2> /dev/null | head -n $n | wc -l",
  "sleep 100 & kill $!",
  "ip link set eth0 down; ip link set eth0 up",
  "head -c $n /dev/urandom | od -x | tail -n 2",
] as const;
const ACTS_IN_SCRIPT = 400;
/** Of a run, so many times the time of the work: heavy scripts are slow. */
const SLOWEST = 30;
const BOOT_MS = 300_000;

/**
 * A script that sums up registers at each change of the address space, every frame, and all of RAM at the end. It only looks.
 *
 * @param more statements that are executed once, and register whatever they like
 */
function sumExecution(more: string): string {
  return `
    import { createHash } from "node:crypto";
    import { ALL_PROCESSES, CallbackManager, Engine, getInstructionCount, readCpu, startMonitoringProcess, viewPa } from "rebox";
    let cm: CallbackManager;
    let print: (text: string) => void;
    const [registers, frames] = [createHash("sha256"), createHash("sha256")];
    let [changes, seen] = [0, 0];
    let sumBlocks = () => "none";
    export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
      print = printer;
      cm = new CallbackManager(handle);
      cm.addCallback(CallbackManager.CONTEXTCHANGE_CB, (before, after, index) => {
        const { RIP, RSP, RAX, RBX, RFLAGS, CR2 } = readCpu(index);
        changes++;
        registers.update([getInstructionCount(), before, after, RIP, RSP, RAX, RBX, RFLAGS, CR2].join());
      });
      for (const event of [CallbackManager.NIC_SEND_CB, CallbackManager.NIC_REC_CB] as const) {
        cm.addCallback(event, (...values) => {
          seen++;
          frames.update(event + " at " + getInstructionCount());
          for (const value of values) frames.update(value instanceof Uint8Array ? value : String(value));
        });
      }
      ${more}
    }
    export function clean(): void {
      const ram = createHash("sha256");
      for (let at = 0x100000n; at < 0x10000000n; at += 0x100000n) {
        const { buffer, byteOffset, byteLength } = viewPa(at, 0x100000);
        ram.update(new Uint8Array(buffer, byteOffset, byteLength));
      }
      print(JSON.stringify({ registers: registers.digest("hex"), frames: frames.digest("hex"), ram: ram.digest("hex"), changes, seen,
                             end: getInstructionCount() }));
      cm.clean();
      print("blocks " + sumBlocks());
    }
  `;
}

/** Sums up the address of every block that is executed. */
const BLOCKS = `
  startMonitoringProcess(ALL_PROCESSES);
  const blocks = createHash("sha256");
  cm.addStream(CallbackManager.BLOCK_BEGIN_CB, (batch) => {
    blocks.update(new Uint8Array(batch.pc.buffer, batch.pc.byteOffset, 8 * batch.length));
  }, { columns: ["pc"] });
  sumBlocks = () => blocks.digest("hex");
`;

/** Hooks of all kinds that come and go, throw, hold the guest until their promise has settled, and stops and starts from outside. */
function makeTurmoil(random: Random): string {
  const rare = random.between(3_000, 30_000);
  return `
    startMonitoringProcess(ALL_PROCESSES);
    const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    let calls = 0;
    let hook: string | undefined;
    const end = () => { if (hook !== undefined) cm.rmCallback(hook); hook = undefined; };
    cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
      if (++calls % 50 === 0) throw new Error("now and then");
      if (hook !== undefined) end();
      else hook = cm.addCallback(CallbackManager.${random.pick(["INSN_BEGIN_CB", "BLOCK_END_CB", "MEM_WRITE_CB"])}, end, { filter: { every: 100 } });
    }, { filter: { every: ${rare} } });
    cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => wait(${random.between(1, 5)}), { filter: { every: ${rare * 40} } });
    const timer = setInterval(() => void (async () => {
      const engine = Engine.get();
      if (engine.state !== "running") return;
      await engine.pause();
      await wait(2);
      await engine.resume();
    })().catch(() => undefined), ${random.between(300, 2_000)});
    timer.unref();
  `;
}

function makeWork(random: Random, seconds: number): string {
  const acts = Array.from({ length: ACTS_IN_SCRIPT }, () => {
    const act = random.pick(ACTS);
    return `i=${random.between(1, 9)}; n=${random.between(1, 1_400)}; ${act}; enough`;
  });
  return [
    'for module in $(cat /modules/order); do insmod "/modules/$module.ko" 2> /dev/null; done',
    "ip address add 10.0.2.15/24 dev eth0; ip link set eth0 up",
    "is_over=0",
    `enough() { read up rest < /proc/uptime; [ "\${up%.*}" -lt ${seconds} ] || is_over=1; }`,
    'while [ "$is_over" = 0 ]; do',
    ...acts.map((act) => `[ "$is_over" = 1 ] || { ${act}; }`),
    "done",
    "truth work.done 1",
  ].join("\n");
}

function getSums(run: RecordingRun): string {
  const sums = run.messages.find((message) => message.startsWith('{"registers"'));
  if (sums === undefined)
    throw new Error(`the script has not come to its end: ${run.stderr}\n${run.console.slice(-1000)}`);
  return sums;
}

function check(isRight: boolean, what: string): void {
  if (!isRight) throw new Error(what);
}

/**
 * Makes recordings of guests with random work on a disk and a network, and replays each of them: alone, with scripts that do all that
 * may disturb it, backwards, and cut off as by a kill. Everything has to be what was recorded.
 *
 * @param count of recordings
 * @param seconds of each, of the guest's time
 * @param seed of the choices
 * @throws Error with what was not equal
 */
export async function runRecordings(
  count: number,
  seconds: number,
  seed: number,
  say: (line: string) => void,
): Promise<void> {
  const small = listKits().find(({ architecture }) => architecture === "i386");
  for (let number = 1; number <= count; number++) {
    // Each fourth one is of 32 bits.
    const kit = number % 4 === 0 && small !== undefined ? small : defaultKit();
    say(`recording ${number} of ${count}: ${kit.architecture}, seed ${seed}`);
    await runOne(kit, seconds, new Random(seed, number), say);
  }
}

async function runOne(kit: GuestKit, seconds: number, random: Random, say: (line: string) => void): Promise<void> {
  using folder = new RecordingFolder();
  writeTree(folder.place("tree"), { "run.sh": makeWork(random, seconds) });
  const image = folder.place("disk.img");
  makeExt4(image, folder.place("tree"), "64M");
  const model = random.pick(["virtio-net-pci", "e1000"]);
  const more = ["-drive", `file=${image},format=raw,if=virtio`, "-nic", `user,model=${model}`];
  const timeoutMs = BOOT_MS + seconds * 1000 * SLOWEST;
  const options = { script: sumExecution(""), timeoutMs };
  const recorded = await folder.record("one", (console) => machineArgs(console, "disk", more, kit), options);
  check(recorded.status === 0, recorded.stderr);
  check(recorded.console.includes("work.done=1"), `the guest's work has no end: ${recorded.console.slice(-1000)}`);
  const sums = getSums(recorded);
  const total = Number(recorded.detail["instructions"]);
  const size = statSync(folder.place("one/log")).size;
  say(`  ${model}: ${total} instructions, a log of ${(size / 1e6).toFixed(1)} MB; ${sums}`);

  const blocks: (string | undefined)[] = [];
  const turmoil = sumExecution(makeTurmoil(random));
  for (const script of [undefined, sumExecution(BLOCKS), sumExecution(BLOCKS), turmoil]) {
    const replayed = await folder.replay("one", { timeoutMs, ...(script === undefined ? {} : { script }) });
    check(replayed.status === 0, replayed.stderr);
    check(replayed.console === recorded.console, "the console of a replay is another one");
    if (script !== undefined)
      check(getSums(replayed) === sums, `a replay is another: ${getSums(replayed)} for ${sums}`);
    blocks.push(replayed.messages.find((text) => text.startsWith("blocks ")));
  }
  check(
    blocks[1] === blocks[2] && /^blocks [0-9a-f]{64}$/.test(blocks[1] ?? ""),
    `other blocks are executed: ${blocks.join()}`,
  );

  const places = Array.from({ length: 4 }, () => random.between(1, total - 1)).sort((a, b) => a - b);
  const there = [...places, ...places.toReversed()].flatMap((place) => [`goto ${place}`, SUM_UP]);
  const answers = await folder.ask("one", [...there, "goto end", "where"]);
  for (let at = 0; at < 2 * places.length; at++) {
    const mirrored = 2 * places.length - 1 - at;
    check(answers[2 * at + 1] === answers[2 * mirrored + 1], `going back to ${answers[2 * at]} is another place`);
  }
  check(
    answers.at(-1)!.includes(`instruction ${total} of ${total}`),
    `going back does not lead to the end: ${answers.at(-1)}`,
  );

  cpSync(folder.place("one"), folder.place("cut"), { recursive: true });
  truncateSync(folder.place("cut/log"), random.between(Math.floor(size / 4), size - 1));
  const cut = await folder.replay("cut", { timeoutMs });
  check(cut.status === 0 && cut.stderr.includes("it was cut off there"), cut.stderr);
  check(recorded.console.startsWith(cut.console), "the console of a recording that was cut off is another one");
  say(`  replayed five times, gone back to ${places.join(", ")}, cut off at ${readEnd(cut)}`);
  check(readFileSync(folder.place("one/log")).length === size, "a replay has written into the recording");
}

function readEnd(run: RecordingRun): string {
  return /ends at instruction (\d+)/.exec(run.stderr)?.[1] ?? "?";
}
