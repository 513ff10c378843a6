import { Command, InvalidArgumentError } from "commander";
import { collect } from "../analyze/analyze-options";
import { createLabOption, getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";
import { runService } from "../service";
import { createAccountCommands } from "./account-commands";

const DEFAULT_UPLOAD_MIB = 2_048;
const DEFAULT_REQUESTS = 1_200;

const AFTER_HELP = `
Analyses run in processes of their own: when the server ends, or is killed, they go on, and those that wait begin under the next one.

Example: rebox serve add-user anna --role administrator && rebox serve`;

interface ServeOptions {
  readonly lab?: string;
  readonly listen: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  readonly behindProxy?: boolean;
  readonly plainHttp?: boolean;
  readonly largestUpload: number;
  readonly requestsPerMinute: number;
  readonly webhooksTo?: readonly string[];
  readonly parallel?: number;
}

/**
 * Creates the command `rebox serve`.
 *
 * @param onStatus receives the exit status
 */
export function createServeCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const command = new Command("serve")
    .summary("serve a lab to browsers and programs")
    .description("Serves a lab by HTTP: pages, an API, and the API that CAPE's clients know: docs/guides/server.md.")
    .helpOption("-h, --help", "show this help")
    .enablePositionalOptions()
    .addOption(createLabOption())
    .option("--listen <place>", "ADDRESS:PORT, PORT or unix:PATH", "127.0.0.1:8700")
    .option("--tls-certificate <file>", "encrypt, with this certificate (PEM)")
    .option("--tls-key <file>", "its key (PEM)")
    .option("--behind-proxy", "a proxy on this host says who asks, by X-Forwarded-For and X-Forwarded-Proto")
    .option("--plain-http", "let other hosts connect although nothing is encrypted")
    .option("--largest-upload <MiB>", "the largest file that is taken", readCount, DEFAULT_UPLOAD_MIB)
    .option("--requests-per-minute <count>", "of one user, or one address", readCount, DEFAULT_REQUESTS)
    .option(
      "--webhooks-to <network>",
      "let webhooks reach private addresses of this network, ADDRESS/BITS; may be given more than once",
      collect,
    ) // prettier-ignore
    .option(
      "--parallel <count>",
      "run at most so many analyses at once; without it, max_analyses_count of conf/lab.yaml",
      readCount,
    ) // prettier-ignore
    .addHelpText("after", AFTER_HELP)
    .action(async (options: ServeOptions) => onStatus(await serve(options, environment)));
  for (const each of createAccountCommands(environment, onStatus)) command.addCommand(each);
  return command;
}

async function serve(options: ServeOptions, environment: RunEnvironment): Promise<number> {
  const { tlsCertificate, tlsKey } = options;
  if ((tlsCertificate === undefined) !== (tlsKey === undefined))
    throw new UsageError("--tls-certificate and --tls-key belong together; name both");
  const { startServer } = await import("../../server/start-server.js");
  const { readListenPlace } = await import("../../server/settings.js");
  const { AnalysisWorker } = await import("../analyze/analysis-worker.js");
  const start = async () => {
    const server = await startServer({
      labFolder: getLabFolder(options),
      settings: {
        listen: readListenPlace(options.listen),
        tls: tlsCertificate === undefined ? undefined : { certificate: tlsCertificate, key: tlsKey! },
        ...{ isBehindProxy: options.behindProxy === true, allowsPlainHttp: options.plainHttp === true },
        ...{ largestUpload: options.largestUpload * 2 ** 20, requestsPerMinute: options.requestsPerMinute },
        webhookNetworks: options.webhooksTo ?? [],
      },
      mostRunning: options.parallel,
      getApi: () => environment.getApi(),
      startAnalysis: (labFolder, id) => new AnalysisWorker(labFolder, id, () => undefined, true),
      log: (text) => void environment.stderr.write(`rebox: ${text}\n`),
    });
    return { started: `serving on ${server.address}`, close: () => server.close() };
  };
  return runService(environment, { ending: "analyses that run go on", start: () => asUsage(start) });
}

/** Says in a sentence what the server says in one. @throws UsageError */
export async function asUsage<Result>(act: () => Promise<Result>): Promise<Result> {
  const { RequestError, ServerError } = await import("../../server/errors.js");
  try {
    return await act();
  } catch (error) {
    if (error instanceof ServerError || error instanceof RequestError) throw new UsageError(error.message);
    throw error;
  }
}

function readCount(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 1 to 9999999.");
  return Number(text);
}
