import { z } from "zod";
import { getReboxVersion } from "../../config/folders";
import { hostname, freemem, totalmem } from "node:os";
import { statfsSync } from "node:fs";
import type { App } from "../api/app";
import { SIGN_INS_PER_MINUTE } from "../http/request-limits";
import type { ServerParts } from "../server-parts";
import { addCapeFileRoutes } from "./cape-file-routes";
import { addCapeSubmitRoutes } from "./cape-submit-routes";
import { addCapeTaskRoutes } from "./cape-task-routes";
import { toCapeMachine } from "./cape-tasks";

/** How long a token lives that a client makes with a name and a password, in milliseconds. */
const TOKEN_MS = 30 * 86_400_000;
const GIB = 2 ** 30;
const LONGEST = 300;

/** The answer of CAPE to what cannot be done: its clients read `error_value` by subscript. */
export function refuse(text: string, more: object = {}): Record<string, unknown> {
  return { error: true, error_value: text, ...more };
}

/** Adds the routes that clients of CAPE know, below /apiv2: docs/reference/server-api.md has the list. */
export function addCapeRoutes(app: App, parts: ServerParts): void {
  addCapeSubmitRoutes(app, parts);
  addCapeTaskRoutes(app, parts);
  addCapeFileRoutes(app, parts);
  const read = { config: { access: "read" as const } };
  app.get("/apiv2/machines/list", read, async () => {
    const { machines } = await parts.machines.list();
    return { error: false, data: machines.filter(({ cloneOf }) => cloneOf === undefined).map((each, at) => toCapeMachine(each, at + 1)) }; // prettier-ignore
  });
  app.get(
    "/apiv2/machines/view/:name",
    { ...read, schema: { params: z.object({ name: z.string().max(LONGEST) }) } },
    async ({ params: { name } }) => {
      const { machines } = await parts.machines.list();
      const at = machines.findIndex((machine) => machine.name === name);
      return at === -1 ? refuse("Machine not found") : { error: false, data: toCapeMachine(machines[at]!, at + 1) };
    },
  );
  app.get("/apiv2/cuckoo/status", read, async () => ({ error: false, data: await readStatus(parts) }));
  // Not one of the exits that CAPE has is one that rebox has; without an answer its master registers no node.
  app.get("/apiv2/exitnodes", read, () => ({ error: false, data: ["inetsim"] }));
  addTokenRoute(app, parts);
}

async function readStatus({ search, machines, labFolder }: ServerParts): Promise<Record<string, unknown>> {
  const states = search.countByState();
  const list = (await machines.list()).machines.filter(({ cloneOf }) => cloneOf === undefined);
  const count = (state: string) => states[state] ?? 0;
  const reported = count("finished") + count("cancelled");
  const { blocks, bavail, bsize } = statfsSync(labFolder);
  const share = (free: number, total: number) => ({ free: free / GIB, total: total / GIB, used: (total - free) / GIB, used_by: `${Math.round(100 * (1 - free / total))}%` }); // prettier-ignore
  return {
    ...{ version: `rebox ${getReboxVersion()}`, hostname: hostname() },
    machines: {
      total: list.length,
      available: list.filter((each) => each.isEnabled && each.state !== "running").length,
    },
    tasks: {
      ...{ total: Object.values(states).reduce((sum, each) => sum + each, 0), pending: count("waiting") },
      ...{ running: count("running"), completed: 0, reported },
    },
    server: { storage: share(bavail * bsize, blocks * bsize), ram: share(freemem(), totalmem()) },
    tools: { vmtouch: false },
  };
}

/** Clients of Django's kind get a token for a name and a password. */
function addTokenRoute(app: App, { accounts, counts }: ServerParts): void {
  const body = z.object({ username: z.string().max(LONGEST), password: z.string().max(LONGEST) });
  const rateLimit = { max: SIGN_INS_PER_MINUTE, timeWindow: 60_000, keyGenerator: ({ ip }: { ip: string }) => `sign-in ${ip}` }; // prettier-ignore
  app.post(
    "/apiv2/api-token-auth",
    { config: { access: "open", checksForgery: true, rateLimit }, schema: { body } },
    async (request, reply) => {
      const { username, password } = request.body;
      const user = await accounts.users.signIn(username, password);
      if (user === undefined) {
        counts.signInsRefused++;
        accounts.audit.add(undefined, request.ip, "sign in refused", username);
        return reply.code(400).send({ non_field_errors: ["Unable to log in with provided credentials."] });
      }
      const expires = new Date(Date.now() + TOKEN_MS).toISOString();
      const scopes = user.role === "reader" ? (["read"] as const) : (["read", "submit"] as const);
      const { id, token } = accounts.tokens.add(user.name, "api-token-auth", scopes, expires);
      accounts.audit.add(user.name, request.ip, "add token", `${id}, api-token-auth`);
      return { token };
    },
  );
}
