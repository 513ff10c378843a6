let recorded: number | undefined;

/** Sets how many instructions the recording has that is replayed. */
export function setRecordedInstructions(count: number): void {
  recorded = count;
}

/** Gets how many instructions the recording has that is replayed; undefined when none is. */
export function getRecordedInstructions(): number | undefined {
  return recorded;
}
