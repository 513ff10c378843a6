import { askInParts, chooseJobs } from "../../guest/breakpoints/past-parts";
import { RecordingError } from "../../machine/errors";
import { findRecording, prepareReplay } from "../../machine/recording/replayer";
import { ExitStatus, getSignalStatus } from "../exit-status";
import type { RunEnvironment } from "../run/run-environment";
import { describePlaceHit } from "./place-watch";
import { quotePlace, type WatchedPlace } from "./watched-place";

/** A question about a whole recording, and nothing else. */
export interface Question {
  readonly folder: string;
  readonly places: readonly WatchedPlace[];
  /** The processes that answer it; undefined: as many as are of use. */
  readonly jobs: number | undefined;
}

/**
 * Answers a question by several processes, each of which replays a part of the recording.
 *
 * @returns the exit status; undefined when this process alone is better
 * @throws RecordingError when the recording is none, or something of it has changed
 */
export async function answerInParts(
  { folder, places, jobs }: Question,
  { stdout, stderr, processEvents }: RunEnvironment,
): Promise<number | undefined> {
  // Looking for code hardly slows a replay down.
  if (jobs === 1 || places.every(({ what }) => what === "executed")) return undefined;
  const replay = await prepareReplay(folder);
  const { instructions } = replay.facts;
  replay.close();
  const number = jobs ?? chooseJobs(instructions);
  if (number === 1) return undefined;
  const options = places.flatMap((place) => [`--when-${place.what}`, quotePlace(place)]);
  const end = new AbortController();
  let status: number = ExitStatus.success;
  const stops = (["SIGINT", "SIGTERM", "SIGHUP"] as const).map((signal) => {
    const stop = () => {
      status = getSignalStatus(signal);
      end.abort();
    };
    processEvents.on(signal, stop);
    return () => processEvents.off(signal, stop);
  });
  try {
    const question = { folder: findRecording(folder), instructions, options, jobs: number };
    for await (const hit of askInParts(question, end.signal)) stdout.write(`${describePlaceHit(hit)}\n`);
    stderr.write(`rebox: the recording ends at instruction ${instructions}\n`);
  } catch (error) {
    if (!end.signal.aborted && !(error instanceof RecordingError)) throw error;
    if (!end.signal.aborted) {
      stderr.write(`rebox: ${(error as RecordingError).message}\n`);
      status = ExitStatus.engineFault;
    }
  } finally {
    for (const stop of stops) stop();
  }
  return status;
}
