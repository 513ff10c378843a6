import { connect, createServer, type Server, type Socket } from "node:net";
import type { ModuleOwner } from "../../machine/ownership/module-owner";
import type { Caller, Operations } from "./operation";

/** Creates what is behind node:net in the sandbox. What is open when the script goes is closed. */
export function createNetOperations(caller: Caller, owner: ModuleOwner, isPermitted: boolean): Operations {
  const sockets = new Map<number, Socket | Server>();
  const find = (id: unknown) => sockets.get(Number(id));
  const keep = (item: Socket | Server): number => {
    const id = caller.createId();
    const owned = owner.own(() => close(item));
    sockets.set(id, item);
    item.on("error", (error: Error) => caller.emit(id, ["error", error.message]));
    item.on("close", () => {
      sockets.delete(id);
      owned.release();
      caller.emit(id, ["close", undefined]);
    });
    return id;
  };
  const keepSocket = (socket: Socket): number => {
    const id = keep(socket);
    socket.on("connect", () => caller.emit(id, ["connect", undefined]));
    socket.on("data", (bytes) => caller.emit(id, ["data", bytes]));
    socket.on("end", () => caller.emit(id, ["end", undefined]));
    return id;
  };
  const demand = () => caller.demand(isPermitted, "the network", "net");
  return {
    "net.connect": (port, host) => {
      demand();
      return keepSocket(connect(toPort(port), String(host)));
    },
    "net.listen": (port, host) => {
      demand();
      const server = createServer((socket) => caller.emit(id, ["connection", keepSocket(socket)]));
      const id = keep(server);
      server.on("listening", () => caller.emit(id, ["listening", server.address()]));
      server.listen(toPort(port), String(host));
      return id;
    },
    "net.write": (id, bytes) => {
      const socket = find(id);
      if (!(bytes instanceof Uint8Array)) throw new TypeError("what is sent are bytes");
      if (socket && "write" in socket) socket.write(bytes);
    },
    "net.end": (id) => {
      const socket = find(id);
      if (socket && "end" in socket) socket.end();
    },
    "net.destroy": (id) => {
      const socket = find(id);
      if (socket) close(socket);
    },
  };
}

function close(item: Socket | Server): void {
  if ("destroy" in item) item.destroy();
  else item.close();
}

function toPort(value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 65535) {
    throw new RangeError(`port ${String(value)}: a whole number from 0 to 65535`);
  }
  return value;
}
