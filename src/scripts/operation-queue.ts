/** Carries out operations of one key one after the other, and those of different keys side by side. */
export class OperationQueue<Key> {
  private readonly last = new Map<Key, Promise<unknown>>();

  /**
   * Carries out an operation once all earlier ones of this key are over.
   *
   * @returns the operation's result
   * @throws the operation's error
   */
  async add<Result>(key: Key, operation: () => Promise<Result>): Promise<Result> {
    const earlier = this.last.get(key);
    const done = (async () => {
      await earlier?.catch(() => undefined);
      return operation();
    })();
    this.last.set(key, done);
    try {
      return await done;
    } finally {
      if (this.last.get(key) === done) this.last.delete(key);
    }
  }
}
