import { randomBytes, timingSafeEqual, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Socket } from "node:net";
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
/** Connections at once, also of those who have not said anything. */
const MOST_CONNECTIONS = 400;
/** Between two looks whether a viewer is there, in milliseconds. */
const BEAT_MS = 15_000;
/** Of viewers that are told of the end, in milliseconds. */
const END_MS = 1_000;
/** The paths by which viewers ask. */
const PLACE = /^\/live\/([0-9a-f-]{36})\/(screen|console)(?:\?control=(yes|no))?$/;
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
  /** All that are open, also those on which nothing has come. */
  readonly #connections = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly place: LivePlace,
    private readonly lab: Lab,
    private readonly findTarget: (analysis: string) => LiveTarget | undefined,
  ) {
    server.on("connection", (socket: Socket) => {
      if (this.#connections.size >= MOST_CONNECTIONS) return socket.destroy();
      this.#connections.add(socket);
      socket.once("close", () => this.#connections.delete(socket));
    });
    // No descriptor is left, for example: the next one may be let in.
    server.on("error", () => undefined);
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(request, socket, head)); // prettier-ignore
    server.on("request", (_request, response) => response.writeHead(404).end());
  }

  /**
   * Begins to listen.
   *
   * @param findTarget finds the machine that an analysis of the cluster has on this host
   * @throws ServerError when the place is taken, is none that others reach, or others could read what is typed on its way
   */
  static async open(
    settings: LiveSettings,
    lab: Lab,
    findTarget: (analysis: string) => LiveTarget | undefined,
  ): Promise<LiveDoor> {
    const { listen, tls } = settings;
    checkExposure({ ...settings, isBehindProxy: false });
    if ("path" in listen) throw new ServerError("--live needs ADDRESS:PORT, which other hosts can reach");
    if (/^[0:.]+$/.test(listen.host)) throw new ServerError(`--live ${listen.host} is every address of this host; name the one by which servers reach it`); // prettier-ignore
    const server = createServer(tls);
    try {
      server.listen(listen.port, listen.host);
      await once(server, "listening");
    } catch (error) {
      throw new ServerError(`cannot listen: ${(error as Error).message}; choose another place by --live`);
    }
    const { port } = server.address() as { port: number };
    const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host;
    const url = `${tls === undefined ? "ws" : "wss"}://${host}:${port}`;
    const fingerprint = tls && new X509Certificate(readFileSync(tls.certificate)).fingerprint256;
    const place = { url, word: randomBytes(32).toString("base64url"), fingerprint };
    return new LiveDoor(server, place, lab, findTarget);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) endView(socket, ENDS, "the host ends");
    const closed = once(this.server, "close");
    this.server.close();
    // Who does not go by then is not waited for, nor is who has never said anything.
    const late = setTimeout(() => {
      for (const socket of this.#connections) socket.destroy();
    }, END_MS);
    await closed;
    clearTimeout(late);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Node has taken its own listener away.
    socket.on("error", () => socket.destroy());
    const [given, wanted] = [
      Buffer.from(request.headers.authorization ?? ""),
      Buffer.from(`Bearer ${this.place.word}`),
    ];
    const [, analysis, kind, control] = PLACE.exec(request.url ?? "") ?? [];
    const isKnown = given.length === wanted.length && timingSafeEqual(given, wanted);
    if (!isKnown || analysis === undefined || this.#sockets.clients.size >= MOST_VIEWS) {
      const status = !isKnown ? "401 Unauthorized" : analysis === undefined ? "404 Not Found" : "429 Too Many Requests";
      // Who is refused may leave its own side open: that is not waited for.
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
      return;
    }
    const mayType = control === "yes";
    this.#sockets.handleUpgrade(request, socket, head, (viewer) => void this.#view(viewer, analysis, kind as "screen" | "console", mayType)); // prettier-ignore
  }

  async #view(socket: WebSocket, analysis: string, kind: "screen" | "console", mayType: boolean): Promise<void> {
    // Nothing is lost that comes before the machine has answered.
    socket.pause();
    const closing = new AbortController();
    let isThere = true;
    socket.on("pong", () => (isThere = true));
    const beat = setInterval(() => {
      if (!isThere) return socket.terminate();
      isThere = false;
      socket.ping();
    }, BEAT_MS);
    socket.on("close", () => {
      clearInterval(beat);
      closing.abort();
    });
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
        joinViewer(socket, await machinery.openScreen(machine, signal), (bytes) => filter.push(bytes), { answer: () => filter.repeatRequest() }); // prettier-ignore
      }
      socket.resume();
    } catch (error) {
      socket.resume();
      endView(socket, REFUSED, error instanceof Error ? error.message : String(error));
    }
  }
}

/** @throws ServerError for a certificate or key that cannot be used */
function createServer(tls: LiveSettings["tls"]): Server {
  if (tls === undefined) return createHttpServer();
  try {
    return createHttpsServer({
      cert: readFileSync(tls.certificate),
      key: readFileSync(tls.key),
      minVersion: "TLSv1.2",
    });
  } catch (error) {
    throw new ServerError(`the certificate and key of --live cannot be used: ${(error as Error).message}`);
  }
}
