import { z } from "zod";
import type { SeenHost } from "../../lab/cluster/host-list";
import { ConflictError } from "../errors";
import type { ClusterView } from "../hosts/cluster-view";
import type { Doer } from "../queue/submit";
import type { ServerParts } from "../server-parts";
import { type App, ERRORS, getDoer } from "./app";
import { NAME } from "./lab-routes";

const HOST = z
  .object({
    ...{ name: z.string(), lab: z.string().describe("The name of its lab in the cluster."), version: z.string() },
    state: z.enum(["working", "ending", "away"]).describe('"away": not heard of for the time of a lease.'),
    isDraining: z.boolean().describe("It takes no more work; what runs there ends as it would."),
    machines: z.array(z.string()),
    load: z.object({
      analyses: z.number().describe("Those that it makes."),
      processes: z.number().describe("The mean number that want a processor, over a minute."),
      ...{ freeMemory: z.number(), memory: z.number(), freeDisk: z.number().describe("In bytes, as the two before.") },
    }),
    seen: z.string().describe("When it was last heard of, ISO 8601."),
  })
  .describe("A host of the cluster.");

/** Adds the routes on the hosts of the lab's cluster. A lab without one has none. */
export function addHostRoutes(app: App, parts: ServerParts): void {
  app.get(
    "/api/v1/hosts",
    {
      config: { access: "read" },
      schema: {
        ...{ operationId: "hosts", summary: "List the hosts of the cluster and what they do", tags: ["lab"] },
        response: { ...ERRORS, 200: z.object({ hosts: z.array(HOST) }) },
      },
    },
    async () => ({ hosts: (await getCluster(parts).listHosts()).map(toHost) }),
  );
  for (const action of ["drain", "resume"] as const)
    app.post(
      `/api/v1/hosts/:name/${action}`,
      {
        config: { access: "administer" },
        schema: {
          operationId: `${action}_host`,
          summary: action === "drain" ? "Have a host take no more work" : "Have a host take work again",
          ...{ tags: ["lab"], params: NAME },
          response: { ...ERRORS, 200: z.object({ name: z.string() }) },
        },
      },
      async (request) => {
        const { name } = request.params;
        await setDraining(parts, getDoer(request), name, action === "drain");
        return { name };
      },
    );
}

/** Returns the cluster of a server's lab. @throws ConflictError when it has none */
export function getCluster({ cluster }: ServerParts): ClusterView {
  if (cluster === undefined) throw new ConflictError("this lab has no cluster: its analyses run in its own machines");
  return cluster;
}

/** Has a host take no more work, or some again. @throws NotThereError, ConflictError, ClusterError */
export async function setDraining(
  parts: ServerParts,
  { caller, address }: Doer,
  name: string,
  isDraining: boolean,
): Promise<void> {
  await getCluster(parts).setDraining(name, isDraining);
  parts.accounts.audit.add(caller.user, address, `${isDraining ? "drain" : "resume"} host`, name);
}

function toHost({ name, lab, version, state, isDraining, machines, load, seen }: SeenHost): z.infer<typeof HOST> {
  return { name, lab, version, state, isDraining, machines: [...machines], load, seen: seen.toISOString() };
}
