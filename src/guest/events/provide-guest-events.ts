import { guestEvents } from "../../machine/callbacks/guest-event-source";
import { Engine } from "../../machine/engine/engine";
import { getCpus } from "../../machine/state/cpu";
import { getGuest } from "../guest";
import { AttachError } from "../../systems/errors";
import { HOOKS_NAME } from "./kernel-hooks";
import { LinuxEventSource } from "./linux-event-source";

/** How often it is tried while no kernel runs yet. */
const WAIT_STEP_MS = 20;

let source: LinuxEventSource | undefined;
let waiting: NodeJS.Timeout | undefined;
let engine: Engine | undefined;
/** What tells whether the guest goes on where it was paused, or another moment was loaded. */
let momentOfPause: string | undefined;

/** Raises events of processes and modules from now on, whenever somebody listens and the guest runs a kernel. */
export function provideGuestEvents(): void {
  guestEvents.setFirstWatchListener(attach);
}

/** Attaches to the guest's kernel as soon as it runs. */
function attach(): void {
  clearTimeout(waiting);
  waiting = undefined;
  if (source || !guestEvents.isAnyWatched()) return;
  followEngine();
  try {
    source = new LinuxEventSource(getGuest());
  } catch (error) {
    if (error instanceof AttachError && error.isEarly) {
      waiting = setTimeout(attach, WAIT_STEP_MS).unref();
      return;
    }
    explain(error);
    return;
  }
  guestEvents.setSource(source);
}

function explain(thrown: unknown): void {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  Engine.get().emit("callbackError", { callback: "attach", script: HOOKS_NAME, error, count: 1, removed: false });
}

/** Another kernel may run after a reset, and after loadVm(), which resumes the guest. */
function followEngine(): void {
  if (engine) return;
  engine = Engine.get();
  engine.on("reset", () => {
    detach();
    attach();
  });
  engine.on("paused", () => {
    momentOfPause = source && findMoment(source);
  });
  engine.on("running", () => {
    if (!source) {
      attach();
    } else if (runsAnother(source)) {
      detach();
      attach();
    } else if (momentOfPause === undefined || momentOfPause !== findMoment(source)) {
      // The same kernel at another time: other processes.
      source.renew();
    }
    // After a plain pause nothing is new, and new hooks would tell of the place where a callback holds the guest once more.
    momentOfPause = undefined;
  });
  // The callback that did not return is gone; the hook that it was called from has to come back.
  engine.on("callbackError", ({ script, removed }) => {
    if (removed && script === HOOKS_NAME) source?.renew();
  });
  for (const end of ["shutdown", "crashed"] as const) {
    engine.on(end, () => {
      clearTimeout(waiting);
      source = undefined;
      guestEvents.setSource(undefined);
    });
  }
}

function runsAnother({ guest }: LinuxEventSource): boolean {
  try {
    return getGuest() !== guest;
  } catch {
    return true;
  }
}

/** Where all vCPUs are, and the kernel's clock; undefined when it cannot be read. */
function findMoment({ guest }: LinuxEventSource): string | undefined {
  try {
    const places = getCpus().map(({ RIP, RSP, CR3 }) => `${RIP} ${RSP} ${CR3}`);
    return `${places.join()} ${guest.clock.realTimeNs}`;
  } catch {
    return undefined;
  }
}

function detach(): void {
  source?.close();
  source = undefined;
  guestEvents.setSource(undefined);
}
