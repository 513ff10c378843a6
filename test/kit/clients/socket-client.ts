import { connect, type Socket } from "node:net";

const CONNECT_TRIES = 400;
const RETRY_MS = 50;

/** Connects to a unix socket that may not be there yet. */
export async function connectSocket(path: string): Promise<Socket> {
  for (let left = CONNECT_TRIES; ; left--) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect(path, () => resolve(socket));
        socket.on("error", reject);
      });
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
