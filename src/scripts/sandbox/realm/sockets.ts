import { Buffer } from "buffer/";
import { EventEmitter } from "events/";
import { ask, ignore, listen } from "./messages";

/** Listens to a socket or server until it is closed. */
function follow(id: number, handler: (event: string, value: unknown) => void): void {
  listen(id, (message) => {
    const [event, value] = message as [string, unknown];
    handler(event, value);
    if (event === "close") ignore(id);
  });
}

/** A connection: the part of net.Socket that needs no streams. */
export class Socket extends EventEmitter {
  constructor(private readonly id: number) {
    super();
    follow(id, (event, value) => this.emit(event, event === "error" ? new Error(String(value)) : value));
  }

  write(data: string | Uint8Array): boolean {
    ask("net.write", this.id, typeof data === "string" ? Buffer.from(data) : data);
    return true;
  }

  end(data?: string | Uint8Array): this {
    if (data !== undefined) this.write(data);
    ask("net.end", this.id);
    return this;
  }

  destroy(): this {
    ask("net.destroy", this.id);
    return this;
  }
}

/** A server: the part of net.Server that listens and accepts. */
export class Server extends EventEmitter {
  private id: number | undefined;

  listen(port: number, host = "127.0.0.1", callback?: () => void): this {
    const id = ask("net.listen", port, host) as number;
    this.id = id;
    if (callback) this.on("listening", callback);
    follow(id, (event, value) => {
      if (event === "connection") this.emit("connection", new Socket(value as number));
      else this.emit(event, event === "error" ? new Error(String(value)) : value);
    });
    return this;
  }

  close(): this {
    if (this.id !== undefined) ask("net.destroy", this.id);
    return this;
  }
}

/** The part of node:net that a script with the permission net has. */
export const net = {
  connect: (options: { readonly port: number; readonly host?: string } | number, host?: string) => {
    const target = typeof options === "number" ? { port: options, host } : options;
    return new Socket(ask("net.connect", target.port, target.host ?? "127.0.0.1") as number);
  },
  createServer: (onConnection?: (socket: Socket) => void) => {
    const server = new Server();
    if (onConnection) server.on("connection", onConnection);
    return server;
  },
};
