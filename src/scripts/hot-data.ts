/** What `import { hot } from "rebox"` gives to a script. */
export interface Hot {
  /**
   * Survives a reload: the script's next version finds here a copy of what this version has put here. Copied is what
   * structuredClone() copies: plain objects, arrays, maps, sets, dates, bytes, strings, numbers and bigints, in circles
   * too, but no functions and no classes of the script's own.
   */
  data: Record<string, unknown>;
}

/** `hot` outside of a script: nothing is ever reloaded. */
export const hot: Hot = { data: {} };
