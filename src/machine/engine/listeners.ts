/** Ends a subscription; ending it twice is harmless. */
export interface Subscription {
  dispose(): void;
}

/** The listeners of a set of named events, each with the type of its detail. */
export class Listeners<Events extends object> {
  readonly #lists = new Map<keyof Events, Set<(detail: never) => void>>();

  /**
   * Calls listener at each event of this name.
   *
   * @returns what ends the subscription
   */
  add<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): Subscription {
    let list = this.#lists.get(name);
    if (!list) {
      list = new Set();
      this.#lists.set(name, list);
    }
    // One function subscribed twice is two subscriptions.
    const entry = (detail: Events[Name]) => listener(detail);
    list.add(entry as (detail: never) => void);
    return { dispose: () => list.delete(entry as (detail: never) => void) };
  }

  /** Calls the listeners that are subscribed now, in the order of their subscription. */
  emit<Name extends keyof Events>(name: Name, detail: Events[Name]): void {
    for (const listener of [...(this.#lists.get(name) ?? [])]) {
      (listener as (detail: Events[Name]) => void)(detail);
    }
  }
}
