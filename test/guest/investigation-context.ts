import { Engine } from "../../src/engine/engine";
import { getGuest } from "../../src/guest/guest";
import { withGuestPaused } from "../../src/guest/guest-pause";
import type { LinuxGuest } from "../../src/guest/linux/linux-guest";
import type { InvestigationContext } from "../../src/investigation/investigation-context";

/** What a run has at hand, with nothing around it: it may stop when the test says so. */
export class TestContext implements InvestigationContext {
  readonly vantage = "engine";
  readonly folder = undefined;
  pausedMs = 0;

  constructor(readonly signal: AbortSignal) {}

  getGuest(): LinuxGuest {
    return getGuest();
  }

  async whilePaused<Result>(look: () => Result | Promise<Result>): Promise<Result> {
    return withGuestPaused(Engine.get(), async () => {
      const startMs = performance.now();
      try {
        return await look();
      } finally {
        this.pausedMs += performance.now() - startMs;
      }
    });
  }

  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.signal.throwIfAborted();
  }

  log(): void {
    // Nobody listens.
  }

  alert(): void {
    // Nobody listens.
  }
}
