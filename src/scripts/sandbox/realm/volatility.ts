import { ask } from "./messages";

interface Options {
  readonly pause?: boolean;
  readonly timeoutMs?: number;
  readonly outputFolder?: string;
}

/** Volatility 3, for a script with the permission volatility; see src/guest/volatility. */
export const volatility = {
  run: async (plugin: string, args: readonly string[] = [], options: Options = {}): Promise<unknown> => {
    const { pause, timeoutMs, outputFolder } = options;
    return ask("volatility.run", String(plugin), args, { pause, timeoutMs, outputFolder });
  },
  list: async (filter = ""): Promise<unknown> => ask("volatility.list", String(filter)),
};
