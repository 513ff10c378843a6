import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate that signs itself, for 127.0.0.1. */
export interface SelfSigned {
  readonly certificate: string;
  readonly key: string;
  /** What a client trusts. */
  readonly ca: Buffer;
}

/** Makes a certificate and its key in a folder. */
export function makeSelfSigned(folder: string): SelfSigned {
  const [certificate, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...name, "-keyout", key, "-out", certificate], { stdio: "ignore" });
  return { certificate, key, ca: readFileSync(certificate) };
}
