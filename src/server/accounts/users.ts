import { ServerError } from "../errors";
import type { AccountDatabase } from "./account-database";
import { checkPassword, hashPassword } from "./password";
import { type Role, USER_NAME } from "./roles";

/** A user, without the password. */
export interface User {
  readonly name: string;
  readonly role: Role;
  /** ISO 8601, UTC. */
  readonly created: string;
}

/** The users of a server. */
export class Users {
  constructor(private readonly database: AccountDatabase) {}

  /**
   * Adds a user.
   *
   * @throws ServerError when the name is none, or taken; BadRequestError for a password that is too short
   */
  async add(name: string, role: Role, password: string): Promise<void> {
    if (!USER_NAME.test(name))
      throw new ServerError(`"${name}" is no name of a user: it begins with a letter, then come up to 31 of a-z, 0-9, "._-"`); // prettier-ignore
    const hash = await hashPassword(password);
    const { changes } = this.database
      .prepare("INSERT OR IGNORE INTO users VALUES (?, ?, ?, ?)")
      .run(name, role, hash, new Date().toISOString());
    if (changes === 0) throw new ServerError(`there is a user ${name} already; choose another name`);
  }

  find(name: string): User | undefined {
    const row = this.database.prepare("SELECT name, role, created FROM users WHERE name = ?").get(name);
    return row as User | undefined;
  }

  list(): User[] {
    return this.database.prepare("SELECT name, role, created FROM users ORDER BY name").all() as User[];
  }

  /** Returns the user, when the password is right. It takes as long when there is no such user. */
  async signIn(name: string, password: string): Promise<User | undefined> {
    const row = this.database.prepare("SELECT password FROM users WHERE name = ?").get(name);
    const isRight = await checkPassword(password, (row as { password: string } | undefined)?.password);
    return isRight ? this.find(name) : undefined;
  }

  /** Gives a user another password, and ends the sessions. @throws ServerError when there is none of that name */
  async setPassword(name: string, password: string): Promise<void> {
    const hash = await hashPassword(password);
    this.#change(name, this.database.prepare("UPDATE users SET password = ? WHERE name = ?").run(hash, name).changes);
  }

  /** Gives a user another role, and ends the sessions. @throws ServerError when there is none, or no administrator would be left */
  setRole(name: string, role: Role): void {
    if (role !== "administrator") this.#keepAdministrator(name);
    this.#change(name, this.database.prepare("UPDATE users SET role = ? WHERE name = ?").run(role, name).changes);
  }

  /** Removes a user, with sessions and tokens. @throws ServerError when there is none, or no administrator would be left */
  remove(name: string): void {
    this.#keepAdministrator(name);
    this.#change(name, this.database.prepare("DELETE FROM users WHERE name = ?").run(name).changes);
    this.database.prepare("DELETE FROM tokens WHERE user = ?").run(name);
  }

  #change(name: string, changes: number): void {
    if (changes === 0) throw new ServerError(`there is no user ${name}`);
    this.database.prepare("DELETE FROM sessions WHERE user = ?").run(name);
  }

  #keepAdministrator(name: string): void {
    const others = this.list().filter((user) => user.role === "administrator" && user.name !== name);
    if (this.find(name)?.role === "administrator" && others.length === 0)
      throw new ServerError(`${name} is the last administrator; make another user one first`);
  }
}
