import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** How often the services are looked at; an end is told no later. */
const LOOK_MS = 500;

/** A server of a simulated network that is a process. */
export interface Service {
  /** INetSim's name of it: "dns_53_tcp_udp". */
  readonly name: string;
  /** In the namespace of processes. */
  readonly pid: number;
}

/** Reads which services a log of INetSim reports as begun. */
export function findServices(log: string): Service[] {
  return [...log.matchAll(/\* (\S+) .*started \(PID (\d+)\)/g)].map(([, name, pid]) => ({
    name: name!,
    pid: Number(pid),
  }));
}

/**
 * Watches processes that belong to another one, which does not say when one of them ends, and may never reap it.
 *
 * @param onEnd is called once with each that has ended
 * @returns ends the watch
 */
export function watchServices(services: readonly Service[], onEnd: (service: Service) => void): () => void {
  const places = findPlaces(services);
  const timer = setInterval(() => {
    for (const [service, place] of places) {
      if (isAlive(place)) continue;
      places.delete(service);
      onEnd(service);
    }
  }, LOOK_MS);
  return () => clearInterval(timer);
}

/**
 * Finds the folders of processes in /proc, which may be mounted from outside the namespace and have other numbers then: NSpid of
 * proc_pid_status(5) has both. A process that is not found is not watched.
 */
function findPlaces(services: readonly Service[]): Map<Service, string> {
  const own = readNamespace("self");
  const wanted = new Map(services.map((service) => [service.pid, service]));
  const found = new Map<Service, string>();
  for (const name of readdirSync("/proc").filter((each) => /^\d+$/.test(each))) {
    try {
      const [, numbers = ""] = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${name}/status`, "latin1")) ?? [];
      const service = wanted.get(Number(numbers.split(/\s+/).at(-1)));
      if (service !== undefined && readNamespace(name) === own) found.set(service, `/proc/${name}`);
    } catch {
      // It has ended, or is none of ours.
    }
  }
  return found;
}

function readNamespace(pid: string): string {
  return readlinkSync(`/proc/${pid}/ns/pid`);
}

/** Returns whether a process runs: one that has ended and was not reaped does not. */
function isAlive(place: string): boolean {
  try {
    const stat = readFileSync(`${place}/stat`, "latin1");
    return !/^ [ZX]/.test(stat.slice(stat.lastIndexOf(")") + 1));
  } catch {
    return false;
  }
}
