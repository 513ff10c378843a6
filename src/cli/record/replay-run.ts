import { resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Engine } from "../../machine/engine/engine";
import { loadAddon } from "../../machine/engine/load-addon";
import { findLeavingCount, goLive } from "../../machine/recording/leaving";
import { prepareReplay, type Replay, type ReplayOptions } from "../../machine/recording/replayer";
import { stopAt } from "../../machine/recording/travel";
import { UsageError } from "../errors";
import { ExitStatus } from "../exit-status";
import type { EnginePort } from "../run/run-environment";
import type { RunEnd } from "../run/run-end";
import type { RecordedOutcome, RecordedPort, RecordedRun } from "../run/run-plan";
import { watchPlaces } from "./place-watch";
import { prepareSocket, removeSocket } from "../run/sockets";
import type { WatchedPlace } from "./watched-place";

/** The time after which a replay that executes nothing is given up, in milliseconds. */
const STUCK_MS = 60_000;
const LOOK_MS = 5_000;
/** The execution after which another state is kept, in milliseconds. */
const STATE_INTERVAL_MS = 1_000;

/** How a recording is replayed. */
export interface ReplayRunOptions extends ReplayOptions {
  /** The guest stays as it is where the recording ends, in place of ending. */
  readonly stays: boolean;
  /** The memory for states to go back to, in MB; 0 for none. */
  readonly statesMb: number;
  /** The count of instructions at which it is paused. */
  readonly at?: number;
  /** The recording is left at that count, or where it ends: the guest lives on. */
  readonly goesLive: boolean;
  /** The unix socket on which gdb is waited for. */
  readonly gdbSocket?: string;
  /** Places of which is told what happens there while it is replayed. */
  readonly places: readonly WatchedPlace[];
  /** From which count on that is told; 0: from the beginning. */
  readonly from: number;
  /** The count at which the replay ends; undefined: where the recording does. */
  readonly to?: number;
}

/** The replay of a recording. */
export class ReplayRun implements RecordedRun {
  private replay: Replay | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;
  private ownedSocket: string | undefined;

  /**
   * @param folder of the recording
   */
  constructor(
    private readonly folder: string,
    private readonly options: ReplayRunOptions,
  ) {}

  async prepare(): Promise<readonly string[]> {
    const replay = await prepareReplay(this.folder, this.options);
    const { instructions } = replay.facts;
    if (this.options.from > instructions) {
      replay.close();
      throw new UsageError(`--from ${this.options.from}: the recording ends at instruction ${instructions}`);
    }
    this.replay = replay;
    // Somebody has ended the run meanwhile.
    if (this.isClosed) replay.close();
    const { stays, gdbSocket } = this.options;
    const args = stays ? [...replay.args, "-action", "shutdown=pause"] : replay.args;
    if (gdbSocket === undefined) return args;
    await prepareSocket(gdbSocket, "--gdb");
    this.ownedSocket = gdbSocket;
    return [...args, "-S", "-gdb", `unix:${gdbSocket.replaceAll(",", ",,")},server=on,wait=off`];
  }

  watch(engine: EnginePort, { say, tell, end }: RecordedPort): void {
    const { statesMb, at, goesLive } = this.options;
    this.watchPart(engine, { say, tell, end });
    if (at !== undefined) this.stopAt(at, say);
    if (statesMb > 0 && !loadAddon().keepStates(statesMb * 1e6, STATE_INTERVAL_MS)) {
      say(
        "no states can be kept: the machine has a device without a state, or there is no memory; this replay cannot go back",
      );
    }
    engine.on("paused", (detail) => {
      const state = (detail as { state?: string } | undefined)?.state;
      const engine = Engine.find();
      if (state === "shutdown" && engine?.recording === "replaying" && !engine.travels && !goesLive)
        say(`${this.describePlace()}; the guest stays as it is`);
    });
    if (goesLive) this.leaveWhenPaused(engine, say, end);
    this.watchProgress(end);
  }

  describe(end: RunEnd): RecordedOutcome {
    const { facts } = this.replay as Replay;
    const instructions = loadAddon().instructionCount() ?? 0;
    const detail = { folder: resolve(this.folder), instructions, of: facts.instructions, isCutOff: !facts.hasEnded };
    const hasFailed = end.kind === "engine" && end.end.reason === "crashed";
    return { sentence: this.describePlace(), detail, hasFailed };
  }

  close(): void {
    this.isClosed = true;
    clearInterval(this.timer);
    this.replay?.close();
    if (this.ownedSocket !== undefined) removeSocket(this.ownedSocket);
    this.ownedSocket = undefined;
  }

  /** Tells of the places from a count on, and ends the replay at another one: until the first it is not slower for them. */
  private watchPart(engine: EnginePort, { say, tell }: RecordedPort): void {
    const { places, from, to } = this.options;
    const part = { from, to: to ?? Infinity };
    const watch = () => watchPlaces(places, part, (text, hit) => tell(text, "hit", hit));
    if (from === 0) watch();
    if (from === 0 && to === undefined) return;
    // The one that asks is gone, for any reason.
    process.once("disconnect", () => process.kill(process.pid, "SIGHUP"));
    process.channel?.unref();
    let stops = from === 0 ? [part.to] : [from, part.to];
    this.stopAt(stops[0]!, say);
    engine.on("paused", () => {
      const [next] = stops;
      if (next === undefined || (loadAddon().instructionCount() ?? 0) < next) return;
      stops = stops.slice(1);
      if (next !== from) return void Engine.get().quit();
      watch();
      if (to !== undefined) this.stopAt(to, say);
      Engine.get()
        .resume()
        .catch((error: unknown) => say(`the replay cannot go on: ${(error as Error).message}`));
    });
  }

  private stopAt(count: number, say: (text: string) => void): void {
    const { facts } = this.replay as Replay;
    if (count > facts.instructions) {
      say(`the recording ends at instruction ${facts.instructions}, before ${count}`);
      return;
    }
    stopAt(count).catch((error: unknown) =>
      say(`the replay cannot be paused at instruction ${count}: ${(error as Error).message}`),
    );
  }

  /** Leaves the recording where the replay is paused for that, and lets the guest go; when that fails, the run ends. */
  private leaveWhenPaused(engine: EnginePort, say: (text: string) => void, giveUp: (end: RunEnd) => void): void {
    const end = (this.replay as Replay).facts.instructions;
    const place = Math.min(this.options.at ?? end, end);
    let isLeaving = false;
    const leave = async (): Promise<void> => {
      // Every listener of this pause has to see the replay paused there; one may have let it go again.
      await setImmediate();
      const { state, recording } = Engine.get();
      if (state !== "paused" || recording !== "replaying") return;
      await goLive();
      say(this.describePlace());
      await Engine.get().resume();
    };
    engine.on("paused", () => {
      // Something else may pause it before.
      if (isLeaving || findLeavingCount() !== undefined || (loadAddon().instructionCount() ?? 0) < place) return;
      isLeaving = true;
      leave()
        .catch((error: unknown) => {
          const message = `the recording cannot be left: ${(error as Error).message}`;
          giveUp({ kind: "refused", status: ExitStatus.engineFault, message, isReported: false });
        })
        .finally(() => (isLeaving = false));
    });
  }

  private describePlace(): string {
    const { facts } = this.replay as Replay;
    const leftAt = findLeavingCount();
    if (leftAt !== undefined)
      return `the recording was left at instruction ${leftAt} of ${facts.instructions}; the guest lives on`;
    const instructions = loadAddon().instructionCount() ?? 0;
    if (instructions < facts.instructions) {
      return `the replay was left at instruction ${instructions} of ${facts.instructions}`;
    }
    const why = facts.hasEnded ? "" : ": it was cut off there, by a kill or a full disk";
    return `the recording ends at instruction ${facts.instructions}${why}`;
  }

  /** A replay that departs from its recording may wait for ever for an event that cannot come any more. */
  private watchProgress(end: (end: RunEnd) => void): void {
    const native = loadAddon();
    let last = "";
    let sinceMs = performance.now();
    this.timer = setInterval(() => {
      const now = `${native.instructionCount()} ${native.recordingEvents()}`;
      const engine = Engine.find();
      // One that has left its recording may wait as long as it likes.
      const stands = engine?.state !== "running" || engine.recording !== "replaying" || native.isHeld();
      if (now !== last || stands) {
        last = now;
        sinceMs = performance.now();
      } else if (performance.now() - sinceMs >= STUCK_MS) {
        clearInterval(this.timer);
        const message =
          `the replay stands still at instruction ${native.instructionCount()} for ${STUCK_MS / 1000} s: it has departed from its ` +
          `recording; it was right up to instruction ${native.lastRightCount()}`;
        end({ kind: "refused", status: ExitStatus.engineFault, message, isReported: false });
      }
    }, LOOK_MS);
    this.timer.unref();
  }
}
