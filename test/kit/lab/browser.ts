import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const BROWSER = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => existsSync(path));

/** Why tests with a browser are left out; false when they are not. */
export const NEEDS_BROWSER = BROWSER === undefined ? "there is no chromium-headless-shell" : false;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** A page that a real browser shows. */
export interface BrowserPage {
  /** What the page and the browser have complained about. */
  readonly complaints: readonly string[];
  /** What was asked for, the page itself included; pictures within it are none. */
  readonly requests: readonly string[];
  /** Waits until something was asked for whose address fits. */
  untilRequested(address: RegExp): Promise<void>;
  /** Evaluates an expression in the page; its value must be one that JSON has. */
  evaluate<Value>(expression: string): Promise<Value>;
  /** Takes a PNG of a part of the page from its upper left corner, in pixels of the page; without a size of its body. */
  takePicture(width?: number, height?: number): Promise<Buffer>;
}

/** Opens a file in Debian's Chromium without a screen, by the DevTools protocol over a pipe. */
export async function withPage(file: string, use: (page: BrowserPage) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-browser-"));
  const args = [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
    ...["--remote-debugging-pipe", `--user-data-dir=${folder}`, "about:blank"],
  ];
  const browser = spawn(BROWSER!, args, {
    ...{ stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true },
  });
  try {
    await use(await openPage(new Protocol(browser), file));
  } finally {
    // Debian's command is a script; the browser and its helpers are in the group that it began.
    if (browser.exitCode === null && browser.signalCode === null) {
      process.kill(-browser.pid!, "SIGKILL");
      await once(browser, "exit");
    }
    for (const stream of browser.stdio) stream?.destroy();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

async function openPage(protocol: Protocol, file: string): Promise<BrowserPage> {
  const { targetId } = await protocol.ask("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await protocol.ask("Target.attachToTarget", { targetId, flatten: true });
  const ask = (method: string, params: object = {}) => protocol.ask(method, params, sessionId as string);
  const complaints: string[] = [];
  const requests: string[] = [];
  const loaded = new Promise<void>((resolve) => {
    protocol.onEvent = (method, params) => {
      if (method === "Page.loadEventFired") resolve();
      if (method === "Network.requestWillBeSent") {
        const { url } = params.request as { url: string };
        if (!url.startsWith("data:")) requests.push(url);
      }
      if (
        /^(Runtime\.(exceptionThrown|consoleAPICalled)|Log\.entryAdded|Page\.javascriptDialogOpening)$/.test(method)
      ) {
        complaints.push(`${method}: ${JSON.stringify(params)}`);
      }
    };
  });
  for (const domain of ["Page", "Network", "Runtime", "Log"]) await ask(`${domain}.enable`);
  await ask("Page.navigate", { url: pathToFileURL(file).href });
  await loaded;
  const evaluate = async <Value>(expression: string) => {
    const { result, exceptionDetails } = await ask("Runtime.evaluate", { expression, returnByValue: true });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: Value }).value;
  };
  return {
    complaints,
    requests,
    evaluate,
    untilRequested: async (address) => {
      while (!requests.some((request) => address.test(request))) await sleep(20);
    },
    takePicture: async (width, height) => {
      const setWidth = (pixels: number) =>
        ask("Emulation.setDeviceMetricsOverride", { width: pixels, height: 1, deviceScaleFactor: 1, mobile: false });
      await setWidth(width ?? 1);
      const [right, bottom] = await evaluate<[number, number]>(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]",
      );
      await setWidth(width ?? right);
      const clip = { x: 0, y: 0, width: width ?? right, height: height ?? bottom, scale: 1 };
      const { data } = await ask("Page.captureScreenshot", { clip, captureBeyondViewport: true });
      return Buffer.from(data as string, "base64");
    },
  };
}

/** Messages of JSON with a zero byte after each (--remote-debugging-pipe). */
class Protocol {
  onEvent: (method: string, params: Readonly<Record<string, unknown>>) => void = () => {};
  #rest = "";
  #lastId = 0;
  readonly #waiting = new Map<number, { resolve(result: Readonly<Record<string, unknown>>): void; reject(error: Error): void }>(); // prettier-ignore
  readonly #input: Writable;

  constructor(browser: ChildProcess) {
    const [, , , input, output] = browser.stdio as [null, null, null, Writable, Readable];
    this.#input = input;
    input.on("error", () => undefined);
    output.setEncoding("utf8").on("data", (text: string) => this.#receive(text));
    browser.once("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the browser has ended"));
    });
  }

  ask(method: string, params: object, sessionId?: string): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.#lastId;
    const answer = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) =>
      this.#waiting.set(id, { resolve, reject }),
    );
    this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return answer;
  }

  #receive(text: string): void {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop()!;
    for (const each of messages) {
      const { id, method, params = {}, result = {}, error } = JSON.parse(each) as Message;
      if (method !== undefined) this.onEvent(method, params);
      const waiting = this.#waiting.get(id ?? 0);
      this.#waiting.delete(id ?? 0);
      if (error !== undefined) waiting?.reject(new Error(error.message));
      else waiting?.resolve(result);
    }
  }
}
