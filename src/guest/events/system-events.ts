import type { GuestEventSource } from "../../machine/callbacks/guest-event-source";
import type { GuestSystem } from "../../systems/guest-system";

/** A source of events that knows one kind of system. It hooks the guest's kernel while somebody listens. */
export interface SystemEventSource extends GuestEventSource {
  readonly system: GuestSystem;
  /** Hooks anew, and notes the processes and modules of now: the guest may be another than before. */
  renew(): void;
  /** Removes the hooks. */
  close(): void;
}
