import type { GuestModule } from "../../systems/linux/modules/guest-module";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { GUEST_QUERIES } from "./guest-queries";
import type { Operations } from "./operation";
import { checkArguments } from "./sandbox-api";

/** A kernel that was replaced by another one so many times ago is forgotten. */
const MOST_GUESTS = 8;

interface GuestApi {
  getGuest(): LinuxGuest;
  findGuest(): LinuxGuest | undefined;
  waitForGuest(timeoutMs?: number): Promise<LinuxGuest>;
  getModuleList(pgd: bigint): GuestModule[];
  getProcessList(): object[];
  getSymbolList(pgd: bigint, pattern?: string): object[];
}

/** Creates what is behind the functions of "rebox" about the guest's system: numbers stand for guests. */
export function createGuestOperations(api: Readonly<Record<string, unknown>>): Operations {
  const rebox = api as unknown as GuestApi;
  const guests = new Map<number, LinuxGuest>();
  let last = 0;

  const describe = (guest: LinuxGuest) => {
    let id = [...guests].find(([, known]) => known === guest)?.[0];
    if (id === undefined) {
      id = ++last;
      guests.set(id, guest);
      guests.delete(id - MOST_GUESTS);
    }
    const { banner, release, bits, image, directMap } = guest.kernel;
    const { start, size } = image;
    return { id, banner, release, bits, image: { start, size }, directMap: { ...directMap } };
  };
  const get = (id: unknown): LinuxGuest => {
    const guest = guests.get(Number(id));
    if (guest === undefined) throw new RangeError("this guest's kernel is gone: call getGuest() again");
    return guest;
  };

  return {
    "guest.get": () => describe(rebox.getGuest()),
    "guest.find": () => {
      const guest = rebox.findGuest();
      return guest && describe(guest);
    },
    "guest.wait": async (timeoutMs) => {
      checkArguments("waitForGuest", ["number?"], [timeoutMs]);
      return describe(await rebox.waitForGuest(timeoutMs as number | undefined));
    },
    "guest.processes": () => {
      const list = rebox.getProcessList();
      return [describe(rebox.getGuest()).id, list];
    },
    "guest.modules": (pgd) => {
      checkArguments("getModuleList", ["bigint"], [pgd]);
      return rebox.getModuleList(pgd as bigint).map(({ contains: _, ...module }) => module);
    },
    "guest.symbols": (pgd, pattern) => {
      checkArguments("getSymbolList", ["bigint", "string?"], [pgd, pattern]);
      return rebox.getSymbolList(pgd as bigint, pattern as string | undefined);
    },
    "guest.ask": (id, name, ...args) => {
      const query = Object.hasOwn(GUEST_QUERIES, String(name)) ? GUEST_QUERIES[String(name)] : undefined;
      if (query === undefined) throw new TypeError(`the sandbox has no question ${String(name)}`);
      const [signature, answer] = query;
      checkArguments(String(name), signature, args);
      return answer(get(id), ...(args as never[]));
    },
  };
}
