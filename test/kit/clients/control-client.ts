import { setTimeout as sleep } from "node:timers/promises";
import { ControlClient } from "../../../src/shell/line/control-client";

/** Connects to the socket of an engine; it is there a moment before somebody listens. */
export async function connectWhenListening(socket: string): Promise<ControlClient> {
  for (;;) {
    try {
      return await ControlClient.connect(socket);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ECONNREFUSED") throw error;
      await sleep(20);
    }
  }
}
