import type { CheckResult } from "./check-result";

const OLDEST_NODE = 20;

/**
 * Checks that Node is new enough and the platform is supported.
 *
 * @param version Node's version, such as "v20.1.0"
 * @param platform such as "linux-x64"
 */
export function checkNode(
  version: string = process.version,
  platform: string = `${process.platform}-${process.arch}`,
): CheckResult {
  const name = "Node";
  const detail = `${version} on ${platform}`;
  if (Number.parseInt(version.replace(/^v/, ""), 10) < OLDEST_NODE) {
    return { name, status: "fail", detail, advice: `install Node ${OLDEST_NODE} or newer` };
  }
  if (platform !== "linux-x64") {
    return { name, status: "fail", detail, advice: "use a 64-bit x86 Linux; nothing else is supported" };
  }
  return { name, status: "ok", detail };
}
