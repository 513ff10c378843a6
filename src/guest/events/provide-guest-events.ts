import { guestEvents } from "../../machine/callbacks/guest-event-source";
import { Engine } from "../../machine/engine/engine";
import { getCpus } from "../../machine/state/cpu";
import { AttachError } from "../../systems/errors";
import type { GuestSystem } from "../../systems/guest-system";
import { LinuxGuest } from "../../systems/linux/linux-guest";
import { WindowsGuest } from "../../systems/windows/windows-guest";
import { getSystem } from "../guest";
import { HOOKS_NAME } from "./kernel-hooks";
import { LinuxEventSource } from "./linux-event-source";
import type { SystemEventSource } from "./system-events";
import { WindowsEventSource } from "./windows-event-source";

/** How often the guest is looked at while no kernel runs yet. */
const WAIT_STEP_MS = 20;
/** How often it is looked at while it runs a system that rebox does not know: another one may be started. */
const WAIT_LONG_MS = 500;

/** Raises events of processes and modules from now on, whenever somebody listens and the guest runs a kernel. */
export function provideGuestEvents(): void {
  const provider = new GuestEventProvider();
  guestEvents.setFirstWatchListener(() => provider.attach());
}

/** Keeps the source of events that fits the kernel which the guest runs. */
class GuestEventProvider {
  #source: SystemEventSource | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #engine: Engine | undefined;
  /** Where the guest was paused: it shows whether it continues there, or another moment was loaded. */
  #momentOfPause: string | undefined;

  /** Attaches to the guest's kernel as soon as it runs. */
  attach(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    if (this.#source || !guestEvents.isAnyWatched()) return;
    this.#followEngine();
    try {
      this.#source = createSource(getSystem());
    } catch (error) {
      if (error instanceof AttachError) {
        // The run says why, once: onAttempt of GuestOptions.
        this.#waiting = setTimeout(() => this.attach(), error.isEarly ? WAIT_STEP_MS : WAIT_LONG_MS).unref();
      } else {
        reportFailure(error);
      }
      return;
    }
    guestEvents.setSource(this.#source);
  }

  /** Another kernel may run after a reset, and after loadVm(), which resumes the guest. */
  #followEngine(): void {
    if (this.#engine) return;
    const engine = Engine.get();
    this.#engine = engine;
    engine.on("reset", () => this.#reattach());
    engine.on("paused", () => {
      // A replay that has travelled is at another moment, whose events nobody was told of.
      this.#momentOfPause = this.#source && !engine.travels ? findMoment(this.#source.system) : undefined;
    });
    engine.on("running", () => this.#onRunning());
    // The callback that did not return is gone; the hook that it was called from has to come back.
    engine.on("callbackError", ({ script, removed }) => {
      if (removed && script === HOOKS_NAME) this.#source?.renew();
    });
    for (const end of ["shutdown", "crashed"] as const) {
      engine.on(end, () => {
        clearTimeout(this.#waiting);
        this.#source = undefined;
        guestEvents.setSource(undefined);
      });
    }
  }

  #onRunning(): void {
    if (this.#engine?.travels) return;
    if (!this.#source) {
      this.attach();
    } else if (runsAnother(this.#source.system)) {
      this.#reattach();
    } else if (this.#momentOfPause === undefined || this.#momentOfPause !== findMoment(this.#source.system)) {
      // The same kernel at another time: other processes.
      this.#source.renew();
    }
    // After a plain pause nothing is new, and new hooks would report the place where a callback holds the guest once more.
    this.#momentOfPause = undefined;
  }

  #reattach(): void {
    this.#source?.close();
    this.#source = undefined;
    guestEvents.setSource(undefined);
    this.attach();
  }
}

/** Makes the source of events for a system, by its kind. */
function createSource(system: GuestSystem): SystemEventSource {
  if (system instanceof LinuxGuest) return new LinuxEventSource(system);
  if (system instanceof WindowsGuest) return new WindowsEventSource(system);
  throw new Error(`rebox sees no processes begin and end in ${system.version}`);
}

function reportFailure(thrown: unknown): void {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  Engine.get().emit("callbackError", { callback: "attach", script: HOOKS_NAME, error, count: 1, removed: false });
}

function runsAnother(system: GuestSystem): boolean {
  try {
    return getSystem() !== system;
  } catch {
    return true;
  }
}

/** Describes where all vCPUs are, with the kernel's clock; undefined when it cannot be read. */
function findMoment(system: GuestSystem): string | undefined {
  try {
    const places = getCpus().map(({ RIP, RSP, CR3 }) => `${RIP} ${RSP} ${CR3}`);
    return `${places.join()} ${system.clock.realTimeNs}`;
  } catch {
    return undefined;
  }
}
