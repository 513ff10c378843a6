/** The doors of rebox: what scripts and modules import from it, and which of them are for whom. */
export const DOORS = ["rebox", "rebox/trusted", "rebox/investigation", "rebox/lab"] as const;

/** The name of a door, as it stands in an import. */
export type Door = (typeof DOORS)[number];

/** The exports of each door. A script in the sandbox has "rebox" alone. */
export type Doors = Readonly<Record<Door, object>>;

/** Makes the doors of a process that offers nothing, or only some of the doors. */
export function createDoors(some: Partial<Doors> = {}): Doors {
  return { rebox: {}, "rebox/trusted": {}, "rebox/investigation": {}, "rebox/lab": {}, ...some };
}

/** Lists the names that a door exports. */
export function listDoorNames(doors: Doors, door: Door): string[] {
  // A CommonJS module that was imported as an ES module has the export "default" besides.
  return Object.keys(doors[door]).filter((name) => name !== "default" && /^[A-Za-z_$][\w$]*$/.test(name));
}

/** Finds the door that exports a name; undefined when none does. */
export function findDoor(doors: Doors, name: string): Door | undefined {
  return DOORS.find((door) => listDoorNames(doors, door).includes(name));
}

/** Lists the names of all doors with their values: what an expression of the shell has at hand. */
export function listAtHand(doors: Doors): Readonly<Record<string, unknown>> {
  return { ...doors["rebox/lab"], ...doors["rebox/investigation"], ...doors["rebox/trusted"], ...doors.rebox };
}
