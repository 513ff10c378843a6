import { listVolatilityPlugins, runVolatility } from "./volatility";

/** Volatility 3 on the running guest: docs/guides/volatility.md. */
export const volatility = { run: runVolatility, list: listVolatilityPlugins } as const;
