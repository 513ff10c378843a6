import { getFilesystems, openGuestPath } from "../../../guest/disks/file-systems";
import { GuestFile } from "../../../guest/disks/guest-file";
import { listVolatilityPlugins, runVolatility } from "../../../guest/volatility/volatility";
import { describeObject, getter, member, operation, type Operations } from "../operation";
import type { ScriptSession } from "../script-session";

const ASYNC = { isAsync: true } as const;
const OBJECT = { result: "object" } as const;
const FILE = ["number"] as const;
const VOLATILITY = { ...ASYNC, permission: "volatility", refusedAs: "Volatility" } as const;

/** The guest's disks, and Volatility. What of it runs when the script goes is ended. */
export const DISK_OPERATIONS: Operations = {
  getFilesystems: operation([], async () => (await getFilesystems()).map((one) => ({ ...one })), ASYNC),
  openGuestPath: operation(["number", "string", "any"], openPath, { ...ASYNC, ...OBJECT }),
  "GuestFile.offset": getter(FILE, ({ guestFiles }, id) => guestFiles.get(id).offset),
  "GuestFile.seek": member(FILE, ["number"], ({ guestFiles }, id, offset) => guestFiles.get(id).seek(offset)),
  "GuestFile.read": member(
    FILE,
    ["number?", "number?"],
    ({ guestFiles }, id, size, offset) => guestFiles.get(id).read(size, offset),
    ASYNC,
  ),
  "volatility.list": operation(
    ["text?"],
    async (_session, filter) => (await listVolatilityPlugins(filter)).map((plugin) => ({ ...plugin })),
    VOLATILITY,
  ),
  "volatility.run": operation(["text", "any", "any"], runPlugin, VOLATILITY),
};

async function openPath(session: ScriptSession, index: number, path: string, options: unknown): Promise<unknown> {
  const { source } = (options ?? {}) as { readonly source?: unknown };
  if (source !== undefined && typeof source !== "string") throw new TypeError("source is disk or disk+memory");
  const found = await openGuestPath(index, path, source === undefined ? {} : { source: source as "disk" });
  if (!(found instanceof GuestFile)) return found?.map((one) => ({ ...one }));
  const { name, size, mode, uid, gid, modified } = found;
  const facts = { path: found.path, name, size, mode, uid, gid, modified };
  return describeObject("GuestFile", [session.guestFiles.add(found)], facts);
}

/** The options that a script in the sandbox may choose. */
interface GivenOptions {
  readonly pause?: unknown;
  readonly timeoutMs?: unknown;
  readonly outputFolder?: unknown;
}

async function runPlugin(session: ScriptSession, plugin: string, args: unknown, given: unknown): Promise<object> {
  const { pause, timeoutMs, outputFolder } = (given ?? {}) as GivenOptions;
  const abort = new AbortController();
  const owned = session.owner.own(() => abort.abort());
  try {
    const result = await runVolatility(plugin, ((args ?? []) as unknown[]).map(String), {
      pause: pause !== false,
      ...(timeoutMs === undefined ? {} : { timeoutMs: Number(timeoutMs) }),
      signal: abort.signal,
      // Without a folder that the script may use, there is none for what plugins extract.
      outputFolder: typeof outputFolder === "string" ? session.files.getPath(outputFolder) : null,
    });
    return { ...result };
  } finally {
    owned.release();
  }
}
