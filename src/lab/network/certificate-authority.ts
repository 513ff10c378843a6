import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { NetworkHostError } from "../errors";
import { getProgramPath } from "./network-host";

const run = promisify(execFile);

const LIMIT_MS = 30_000;
const KEY = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
/**
 * A guest's clock may stand at any time, and is never quite that of this host. From the second day on, because zones lie on both sides of
 * the first; to the last year whose dates all clients read (RFC 5280, 4.1.2.5).
 */
const ALWAYS = { from: "19700102000000Z", to: "20491231235959Z" };
const DAY_MS = 86_400_000;
/** Around the time of the guest; some clients refuse servers' certificates that are valid for more than 398 days. */
const SERVER_VALID = { beforeMs: 30 * DAY_MS, afterMs: 360 * DAY_MS };
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
    if (!existsSync(join(folder, "server.csr"))) await makeRequest(folder);
    return new CertificateAuthority(folder);
  }

  /**
   * Makes the certificate of a server.
   *
   * @param name of the host, as the client asks for it; others than names get a certificate for the network's addresses
   * @param addresses that it is valid for, too
   * @param timeMs the guest's time, about which it is valid, in milliseconds since 1970
   */
  async sign(
    name: string | undefined,
    addresses: readonly string[],
    timeMs: number = Date.now(),
  ): Promise<ServerCertificate> {
    const names = name !== undefined && name.length <= LONGEST_NAME && HOST_NAME.test(name) ? [`DNS:${name}`] : [];
    const subjects = [...names, ...addresses.map((address) => `IP:${address}`)];
    const { folder } = this;
    const cert = await certify(folder, {
      args: ["-cert", this.certificate, "-keyfile", join(folder, "ca.key"), "-in", join(folder, "server.csr")],
      extensions: [
        `subjectAltName=${subjects.join(",")}`,
        ...["basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth"],
        ...["subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"],
      ],
      from: writeTime(timeMs - SERVER_VALID.beforeMs),
      to: writeTime(timeMs + SERVER_VALID.afterMs),
    });
    return { cert, key: readFileSync(join(folder, "server.key"), "utf8") };
  }
}

/** Several analyses may begin at once: the first one to be done gives the folder its name. */
async function make(folder: string): Promise<void> {
  const work = `${folder}.${process.pid}.new`;
  mkdirSync(work, { recursive: true, mode: 0o700 });
  const place = (name: string) => join(work, name);
  try {
    for (const name of ["ca.key", "server.key"]) await callOpenssl(["genpkey", ...KEY, "-out", place(name)]);
    await callOpenssl(["req", "-new", "-key", place("ca.key"), "-subj", "/CN=rebox lab", "-out", place("ca.csr")]);
    const certificate = await certify(work, {
      args: ["-selfsign", "-keyfile", place("ca.key"), "-in", place("ca.csr")],
      extensions: [
        ...["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"],
        ...["subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"],
      ],
      ...ALWAYS,
    });
    await makeRequest(work);
    writeFileSync(place("ca.crt"), certificate);
    renameSync(work, folder);
  } catch (error) {
    if (!existsSync(join(folder, "ca.crt"))) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Makes the request that every server's certificate answers: all of them have one key. */
async function makeRequest(folder: string): Promise<void> {
  const work = join(folder, `server.csr.${process.pid}.new`);
  const args = ["req", "-new", "-key", join(folder, "server.key"), "-subj", "/CN=rebox server", "-out", work];
  await callOpenssl(args);
  renameSync(work, join(folder, "server.csr"));
}

/** A certificate that is to be made. */
interface CertificatePlan {
  /** Of openssl ca: who signs what. */
  readonly args: readonly string[];
  /** Lines of its section of extensions. */
  readonly extensions: readonly string[];
  /** As openssl reads times: "20260102030405Z". */
  readonly from: string;
  readonly to: string;
}

/** Makes a certificate by openssl ca, which alone of its commands sets the time that one is valid from; it wants a database. */
async function certify(folder: string, { args, extensions, from, to }: CertificatePlan): Promise<string> {
  const work = mkdtempSync(join(folder, "signing-"));
  try {
    writeFileSync(join(work, "index"), "");
    const config = [
      ...["[ca]", "default_ca = own", "[own]", `database = ${work}/index`, `new_certs_dir = ${work}`],
      ...["default_md = sha256", "policy = any", "rand_serial = yes", "x509_extensions = extensions"],
      ...["[any]", "commonName = supplied", "[extensions]", ...extensions, ""],
    ];
    writeFileSync(join(work, "config"), config.join("\n"));
    const times = ["-startdate", from, "-enddate", to];
    return await callOpenssl(["ca", "-config", join(work, "config"), "-batch", "-notext", ...args, ...times]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Writes a time in milliseconds since 1970 as openssl reads it. */
function writeTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().replace(/\..*|[-:T]/g, "")}Z`;
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
