import { randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import type { LivePlace } from "../../lab/cluster/host-list";
import type { Lab } from "../../lab/lab";
import { ServerError } from "../errors";
import { openConsoleView } from "../live/console-view";
import { endView, joinViewer, type LiveTarget } from "../live/live-views";
import { RfbFilter } from "../live/rfb-filter";
import { checkExposure, type ServerSettings } from "../settings";

/** From the machine's answer to that of its screen, in milliseconds. */
const OPEN_LIMIT_MS = 10_000;
/** Of a viewer: keys and requests, in bytes. */
const LARGEST_MESSAGE = 64 << 10;
const MOST_VIEWS = 100;
const ENDS = 1001;
const REFUSED = 1008;

/** Where a host lets its machines be looked at, and how. */
export type LiveSettings = Pick<ServerSettings, "listen" | "tls" | "allowsPlainHttp">;

/**
 * The way to the screens and consoles of a host's machines: servers of the cluster's labs come here for their viewers, with a word that they find
 * in the cluster. Which machine belongs to an analysis is said by this host alone.
 */
export class LiveDoor {
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: LARGEST_MESSAGE });

  private constructor(
    private readonly server: Server,
    readonly place: LivePlace,
    private readonly lab: Lab,
    private readonly findTarget: (analysis: string) => LiveTarget | undefined,
  ) {
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(request, socket, head)); // prettier-ignore
    server.on("request", (_request, response) => response.writeHead(404).end());
  }

  /**
   * Begins to listen.
   *
   * @param findTarget finds the machine that an analysis of the cluster has on this host
   * @throws ServerError when the place is taken, or others could read what is typed on its way
   */
  static async open(
    settings: LiveSettings,
    lab: Lab,
    findTarget: (analysis: string) => LiveTarget | undefined,
  ): Promise<LiveDoor> {
    const { listen, tls } = settings;
    checkExposure({ ...settings, isBehindProxy: false });
    if ("path" in listen) throw new ServerError("--live needs ADDRESS:PORT, which other hosts can reach");
    const server =
      tls === undefined
        ? createHttpServer()
        : createHttpsServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key), minVersion: "TLSv1.2" });
    try {
      server.listen(listen.port, listen.host);
      await once(server, "listening");
    } catch (error) {
      throw new ServerError(`cannot listen: ${(error as Error).message}; choose another place by --live`);
    }
    const { port } = server.address() as { port: number };
    const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host;
    const place = { url: `${tls === undefined ? "ws" : "wss"}://${host}:${port}`, word: randomBytes(32).toString("base64url") }; // prettier-ignore
    return new LiveDoor(server, place, lab, findTarget);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) {
      endView(socket, ENDS, "the host ends");
      socket.terminate();
    }
    const closed = once(this.server, "close");
    this.server.close();
    await closed;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const [given, wanted] = [
      Buffer.from(request.headers.authorization ?? ""),
      Buffer.from(`Bearer ${this.place.word}`),
    ];
    const url = new URL(request.url ?? "/", "ws://host");
    const [, analysis, kind] = /^\/live\/([0-9a-f-]{36})\/(screen|console)$/.exec(url.pathname) ?? [];
    const isKnown = given.length === wanted.length && timingSafeEqual(given, wanted);
    if (!isKnown || analysis === undefined || this.#sockets.clients.size >= MOST_VIEWS) {
      const status = !isKnown ? "401 Unauthorized" : analysis === undefined ? "404 Not Found" : "429 Too Many Requests";
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
      return;
    }
    const mayType = url.searchParams.get("control") === "yes";
    this.#sockets.handleUpgrade(request, socket, head, (viewer) => void this.#view(viewer, analysis, kind as "screen" | "console", mayType)); // prettier-ignore
  }

  async #view(socket: WebSocket, analysis: string, kind: "screen" | "console", mayType: boolean): Promise<void> {
    // Nothing is lost that comes before the machine has answered.
    socket.pause();
    const closing = new AbortController();
    socket.on("close", () => closing.abort());
    socket.on("error", () => socket.terminate());
    try {
      const target = this.findTarget(analysis);
      if (target === undefined) throw new ServerError("this host has no machine of this analysis now");
      const machine = this.lab.manager.machines.get(target.machine);
      const machinery = this.lab.manager.getMachinery(machine);
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(OPEN_LIMIT_MS)]);
      if (kind === "console")
        await openConsoleView({ socket, machine, machinery, mayType, target, closing: closing.signal, signal }); // prettier-ignore
      else {
        const filter = new RfbFilter(mayType);
        joinViewer(socket, await machinery.openScreen(machine, signal), (bytes) => filter.push(bytes));
      }
      socket.resume();
    } catch (error) {
      socket.resume();
      endView(socket, REFUSED, error instanceof Error ? error.message : String(error));
    }
  }
}
