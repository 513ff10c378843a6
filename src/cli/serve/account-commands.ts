import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Accounts } from "../../server/server-parts";
import { collect } from "../analyze/analyze-options";
import { ExitStatus } from "../exit-status";
import { createLabOption, getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";
import { readPassword } from "./read-password";
import { asUsage } from "./serve-command";

interface LabOption {
  readonly lab?: string;
}

/** Names, here too, so that the command line needs not the server for its help. */
const ROLES = ["reader", "analyst", "administrator"] as const;
const RIGHTS = ["read", "submit", "administer"] as const;
const DAY_MS = 86_400_000;

/** Creates the commands below `rebox serve` that work on its users and tokens. They need no server that runs. */
export function createAccountCommands(environment: RunEnvironment, onStatus: (status: number) => void): Command[] {
  const { stdout } = environment;
  const define = (name: string, summary: string) =>
    new Command(name)
      .summary(summary)
      .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
      .helpOption("-h, --help", "show this help")
      .addOption(createLabOption());
  const use = async (options: LabOption, act: (accounts: Accounts) => Promise<void> | void) => {
    await asUsage(() => withAccounts(resolve(getLabFolder(options)), act));
    onStatus(ExitStatus.success);
  };
  return [
    define("add-user", "add a user; the password is read from standard input")
      .argument("<name>")
      .addOption(new Option("--role <role>", "what the user may do").choices(ROLES).makeOptionMandatory())
      .action((name: string, options: LabOption & { role: (typeof ROLES)[number] }) =>
        use(options, async ({ users, audit }) => {
          await users.add(name, options.role, await readPassword(environment));
          audit.add(undefined, undefined, "add user", `${name}, ${options.role}, at the terminal`);
          stdout.write(`${name} is a user: ${options.role}\n`);
        }),
      ),
    define("set-password", "give a user another password, read from standard input")
      .argument("<name>")
      .action((name: string, options: LabOption) =>
        use(options, async ({ users, audit }) => {
          await users.setPassword(name, await readPassword(environment));
          audit.add(undefined, undefined, "change user", `${name}: a new password, at the terminal`);
          stdout.write(`${name} has another password\n`);
        }),
      ),
    define("remove-user", "remove a user, with all tokens")
      .argument("<name>")
      .action((name: string, options: LabOption) =>
        use(options, ({ users, audit }) => {
          users.remove(name);
          audit.add(undefined, undefined, "remove user", `${name}, at the terminal`);
          stdout.write(`${name} is no user any more\n`);
        }),
      ),
    define("users", "list the users").action((options: LabOption) =>
      use(options, ({ users }) => {
        for (const { name, role, created } of users.list())
          stdout.write(`${name.padEnd(20)}  ${role.padEnd(13)}  since ${created.slice(0, 10)}\n`);
      }),
    ),
    define("add-token", "make a token for a program, and print it")
      .argument("<user>", "whose rights it has")
      .option(
        "--right <right>",
        "read, submit or administer; may be given more than once; all of the user's without it",
        readRight,
      ) // prettier-ignore
      .option("--label <text>", "a name for it", "made at the terminal")
      .option("--days <count>", "until it is over; never without it", readDays)
      .action(
        (name: string, options: LabOption & { right?: (typeof RIGHTS)[number][]; label: string; days?: number }) =>
          use(options, async ({ users, tokens, audit }) => {
            const user = users.find(name);
            if (user === undefined) throw new UsageError(`there is no user ${name}; rebox serve users lists them`);
            const { RIGHTS_OF } = await import("../../server/accounts/roles.js");
            const rights = options.right ?? RIGHTS_OF[user.role];
            const expires = options.days === undefined ? undefined : new Date(Date.now() + options.days * DAY_MS).toISOString(); // prettier-ignore
            const { id, token } = tokens.add(name, options.label, rights, expires);
            audit.add(undefined, undefined, "add token", `${id} of ${name}, at the terminal`);
            stdout.write(`${token}\n`);
          }),
      ),
  ];
}

async function withAccounts(labFolder: string, act: (accounts: Accounts) => Promise<void> | void): Promise<void> {
  if (!existsSync(join(labFolder, "conf"))) throw new UsageError(`${labFolder} is no lab: it has no folder conf; make one with rebox lab init`); // prettier-ignore
  const { openAccountDatabase } = await import("../../server/accounts/account-database.js");
  const { AuditLog } = await import("../../server/accounts/audit-log.js");
  const { Sessions } = await import("../../server/accounts/sessions.js");
  const { Tokens } = await import("../../server/accounts/tokens.js");
  const { Users } = await import("../../server/accounts/users.js");
  const database = openAccountDatabase(labFolder);
  try {
    const [users, tokens] = [new Users(database), new Tokens(database)];
    await act({ users, tokens, sessions: new Sessions(database), audit: new AuditLog(database) });
  } finally {
    database.close();
  }
}

function readRight(text: string, before: readonly string[] = []): string[] {
  if (!(RIGHTS as readonly string[]).includes(text)) throw new InvalidArgumentError(`It must be one of ${RIGHTS.join(", ")}.`); // prettier-ignore
  return collect(text, before);
}

function readDays(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError("It must be a whole number of days from 1 to 9999.");
  return Number(text);
}
