/** The recording that this process replays. */
export interface ReplayedRecording {
  /** Absolute. */
  readonly folder: string;
  readonly instructions: number;
  /** How many processes a question about all of it may take; undefined: as many as are of use. */
  readonly jobs?: number;
}

let replayed: ReplayedRecording | undefined;

/** Sets which recording is replayed. */
export function setReplayedRecording(recording: ReplayedRecording): void {
  replayed = recording;
}

/** Finds the recording that is replayed; undefined when none is. */
export function findReplayedRecording(): ReplayedRecording | undefined {
  return replayed;
}

/** Gets how many instructions the recording has that is replayed; undefined when none is. */
export function getRecordedInstructions(): number | undefined {
  return replayed?.instructions;
}
