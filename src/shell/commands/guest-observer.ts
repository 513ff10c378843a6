import { dirname, resolve } from "node:path";
import { takeMoment } from "../../config/moment";
import { takeRecordedCalls } from "../../guest/hooking/hook-function";
import { CallbackManager } from "../../machine/callbacks/callback-manager";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import { ScriptError } from "../../scripts/errors";
import { loadTrustedFile } from "../../scripts/loading/trusted-file";
import type { CommandSession } from "./command-session";
import { toCommandValue } from "./command-result";

/** The argument of observe(observer), which a file that observes the guest for a session exports. */
export interface GuestObserver {
  /** Its callbacks, which end with the observation, as its timers do. */
  readonly callbacks: CallbackManager;
  /** The options that the session has given. */
  readonly options: Readonly<Record<string, unknown>>;
  /**
   * Reports a value to the session: any value of JSON, and bigints. It has the moment of this call.
   *
   * @param happenedMs CLOCK_MONOTONIC, in milliseconds, of something that was noted before
   */
  tell(value: unknown, happenedMs?: number): void;
}

/** The function that observe() may return: it is called when the observation ends, and its result is reported last. */
type Finish = () => unknown;

/** A file that observes the guest on behalf of a session, and ends with it. */
export class GuestObservationFile {
  private isEnded = false;

  private constructor(
    private readonly owner: ModuleOwner,
    private readonly finish: Finish | undefined,
  ) {}

  /**
   * Compiles a file and calls its observe().
   *
   * @param file relative to the current folder
   * @throws ScriptError when it cannot be compiled or exports no observe(); errors of observe()
   */
  static async load(
    file: string,
    options: Readonly<Record<string, unknown>>,
    session: CommandSession,
  ): Promise<GuestObservationFile> {
    const path = resolve(file);
    const owner = new ModuleOwner(path, dirname(path));
    // The session may end while the file is compiled: then nothing can be registered any more.
    const owned = session.owner.own(() => void owner.close());
    try {
      const { observe } = (await loadTrustedFile(path, path, session.api, owner)).exports;
      if (typeof observe !== "function") {
        throw new ScriptError(path, "exports no function observe(observer)", { file: path });
      }
      const observer: GuestObserver = {
        callbacks: new CallbackManager(0, owner),
        options,
        tell: (value, happenedMs) => {
          const data = toCommandValue(value);
          if (!owner.isOpen) return;
          session.onNotice?.({ text: JSON.stringify(value, showBigint), data, moment: takeMoment(happenedMs) });
        },
      };
      owner.check();
      const finish = (await (observe as (observer: GuestObserver) => unknown)(observer)) as Finish | undefined;
      const file = new GuestObservationFile(owner, typeof finish === "function" ? finish : undefined);
      owned.release();
      session.owner.own(() => void file.end());
      return file;
    } catch (error) {
      owner.close();
      owned.release();
      throw error;
    }
  }

  /**
   * Ends the observation, once. Everything that it has registered is removed before its last function is called.
   *
   * @returns the result of that function
   */
  async end(): Promise<unknown> {
    if (this.isEnded) return undefined;
    this.isEnded = true;
    try {
      takeRecordedCalls(this.owner);
    } finally {
      this.owner.dispose();
    }
    try {
      return await this.finish?.();
    } finally {
      this.owner.close();
    }
  }
}

function showBigint(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `0x${value.toString(16)}` : value;
}
