/** One text that a script printed. */
export interface ScriptMessage {
  readonly handle: number;
  readonly script: string;
  readonly text: string;
}
