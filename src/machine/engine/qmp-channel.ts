import { EngineUsageError, QmpError } from "../errors";
import type { NativeAddon } from "./native";

interface QmpResponse {
  return?: unknown;
  error?: { class: string; desc: string };
}

/** QMP commands to the engine of this process, without a socket. */
export class QmpChannel {
  readonly #native: NativeAddon;
  readonly #pending = new Set<(error: Error) => void>();
  #closed = false;

  constructor(native: NativeAddon) {
    this.#native = native;
  }

  /**
   * Executes a QMP command.
   *
   * @param command its name, for example "query-status"
   * @param args its arguments as QEMU's QAPI schema has them
   * @returns QEMU's answer
   * @throws QmpError when QEMU answers with an error; EngineUsageError when the engine has ended or ends meanwhile
   */
  execute(command: string, args?: object): Promise<unknown> {
    if (this.#closed) {
      return Promise.reject(new EngineUsageError(`${command}: the engine has ended`));
    }
    return new Promise((resolve, reject) => {
      this.#pending.add(reject);
      this.#native.qmp(JSON.stringify({ execute: command, arguments: args }), (text) => {
        this.#pending.delete(reject);
        const response = JSON.parse(text) as QmpResponse;
        if (response.error) {
          reject(new QmpError(command, response.error.class, response.error.desc));
        } else {
          resolve(response.return);
        }
      });
    });
  }

  /** Rejects what is still waiting: nobody answers any more. */
  close(): void {
    this.#closed = true;
    for (const reject of this.#pending) {
      reject(new EngineUsageError("the engine ended before it answered"));
    }
    this.#pending.clear();
  }
}
