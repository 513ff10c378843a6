import { createReadStream, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { FastifyReply } from "fastify";
import { getServerFolder } from "../accounts/account-database";
import { HOSTILE_POLICY } from "./security-headers";

/** How a file is sent. */
export interface FileAnswer {
  /** Absolute path. */
  readonly path: string;
  /** The name that a browser saves it under. */
  readonly name: string;
  readonly type: string;
  /** A browser saves it and does not show it; by default it does. */
  readonly isShown?: boolean;
  /** Called when it was sent, or could not be. */
  readonly after?: () => void;
}

/** Sends a file without holding it in memory. Nothing in it has any right in a browser. */
export function sendFile(reply: FastifyReply, { path, name, type, isShown = false, after }: FileAnswer): FastifyReply {
  const stream = createReadStream(path);
  if (after !== undefined) stream.once("close", after);
  // A name comes from a guest or a sender, so it is written as RFC 6266 and 8187 have it.
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
  return reply
    .header("content-security-policy", HOSTILE_POLICY)
    .header("content-disposition", isShown ? "inline" : `attachment; filename*=UTF-8''${encoded}`)
    .header("content-length", String(statSync(path).size))
    .type(type)
    .send(stream);
}

/**
 * Makes a file in a folder of its own, sends it, and removes the folder.
 *
 * @param make makes the file at the given path
 */
export async function sendMade(
  reply: FastifyReply,
  labFolder: string,
  answer: Omit<FileAnswer, "path" | "after">,
  make: (path: string) => Promise<void>,
): Promise<FastifyReply> {
  const places = join(getServerFolder(labFolder), "outgoing");
  mkdirSync(places, { recursive: true, mode: 0o700 });
  const folder = mkdtempSync(join(places, "made-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "file");
    await make(path);
    return sendFile(reply, { ...answer, path, after: remove });
  } catch (error) {
    remove();
    throw error;
  }
}
