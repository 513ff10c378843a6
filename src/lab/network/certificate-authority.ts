import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { NetworkHostError } from "../errors";
import { getProgramPath } from "./network-host";

const run = promisify(execFile);

const LIMIT_MS = 30_000;
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
/** In days: guests that are frozen today are thawed for years. */
const VALID_DAYS = "3650";
/** Some clients refuse servers' certificates that are valid for longer. */
const SERVER_VALID_DAYS = "397";
/** The names that a certificate may be made for; the guest chooses, and is hostile. */
const HOST_NAME = /^(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/i;
const LONGEST_NAME = 253;

/** A certificate and its key, in PEM. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

/** The certificate authority of a lab, which signs for the servers of its simulated networks. */
export class CertificateAuthority {
  private constructor(private readonly folder: string) {}

  /** The file of its certificate, for guests to trust. */
  get certificate(): string {
    return join(this.folder, "ca.crt");
  }

  /**
   * Opens the authority of a lab, and makes it when there is none.
   *
   * @param labFolder absolute
   * @throws NetworkHostError when openssl cannot make it
   */
  static async open(labFolder: string): Promise<CertificateAuthority> {
    const folder = join(labFolder, "network", "ca");
    if (!existsSync(join(folder, "ca.crt"))) await make(folder);
    return new CertificateAuthority(folder);
  }

  /**
   * Makes the certificate of a server.
   *
   * @param name of the host, as the client asks for it; others than names get a certificate for the network's addresses
   * @param addresses that it is valid for, too
   */
  async sign(name: string | undefined, addresses: readonly string[]): Promise<ServerCertificate> {
    const names = name !== undefined && name.length <= LONGEST_NAME && HOST_NAME.test(name) ? [`DNS:${name}`] : [];
    const subjects = [...names, ...addresses.map((address) => `IP:${address}`)];
    const { folder } = this;
    const args = [
      ...["req", "-x509", "-new", "-key", join(folder, "server.key"), "-subj", "/CN=rebox server"],
      ...["-CA", this.certificate, "-CAkey", join(folder, "ca.key"), "-days", SERVER_VALID_DAYS],
      ...["-addext", `subjectAltName=${subjects.join(",")}`, "-addext", "basicConstraints=critical,CA:FALSE"],
      ...["-addext", "extendedKeyUsage=serverAuth"],
    ];
    return { cert: await callOpenssl(args), key: readFileSync(join(folder, "server.key"), "utf8") };
  }
}

/** Several analyses may begin at once: the first one to be done gives the folder its name. */
async function make(folder: string): Promise<void> {
  const work = `${folder}.${process.pid}.new`;
  mkdirSync(work, { recursive: true, mode: 0o700 });
  try {
    await callOpenssl([
      ...["req", "-x509", ...KEY, "-keyout", join(work, "ca.key"), "-out", join(work, "ca.crt"), "-days", VALID_DAYS],
      ...["-subj", "/CN=rebox lab", "-addext", "basicConstraints=critical,CA:TRUE"],
      ...["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
    ]);
    await callOpenssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", join(work, "server.key")]); // prettier-ignore
    renameSync(work, folder);
  } catch (error) {
    if (!existsSync(join(folder, "ca.crt"))) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function callOpenssl(args: readonly string[]): Promise<string> {
  try {
    const options = { timeout: LIMIT_MS, env: { ...process.env, PATH: getProgramPath() } };
    return (await run("openssl", [...args], options)).stdout;
  } catch (error) {
    const { message, stderr = "" } = error as Error & { readonly stderr?: string };
    throw new NetworkHostError(`openssl makes no certificate: ${stderr.trim().split("\n").at(-1) || message}`);
  }
}
