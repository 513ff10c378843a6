import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { getBuiltFolder } from "../../config/folders";
import { RecordingError } from "../errors";
import type { RecordedDisk } from "./recorded-drives";

const LIMIT_MS = 60_000;
const execute = promisify(execFile);

/** An image, with those that it is laid over. */
export interface ImageFacts {
  readonly format: string;
  /** Absolute: itself first. */
  readonly files: readonly string[];
}

/** Of the answer of `qemu-img info --backing-chain`. */
interface ImageInfo {
  readonly filename: string;
  readonly format: string;
}

/** Reads the format of an image, and which images it is laid over. @throws RecordingError when it is none */
export async function readImageFacts({ path, format }: Pick<RecordedDisk, "path" | "format">): Promise<ImageFacts> {
  const given = format === undefined ? [] : ["-f", format];
  const text = await runQemuImg(["info", "--backing-chain", "--output=json", "-U", ...given, path]);
  const chain = JSON.parse(text) as readonly ImageInfo[];
  return { format: chain[0]?.format ?? "raw", files: chain.map(({ filename }) => filename) };
}

/**
 * Makes the images of a machine's disks, so that those of the user are only read: an overlay for each that the guest may write.
 *
 * @param formats of the disks, in their order
 * @param folder in which the overlays come to lie
 * @returns QEMU's arguments for the images, which stand before those of the machine
 * @throws RecordingError when an overlay cannot be made
 */
export async function createDisks(
  disks: readonly RecordedDisk[],
  formats: readonly string[],
  folder: string,
): Promise<string[]> {
  const args: string[] = [];
  for (const [index, { path, isReadOnly, imageNode, node }] of disks.entries()) {
    const format = formats[index] as string;
    const overlay = join(folder, `${node}.qcow2`);
    if (!isReadOnly) await runQemuImg(["create", "-q", "-f", "qcow2", "-F", format, "-b", path, overlay]);
    const driver = isReadOnly ? format : "qcow2";
    const file = { driver: "file", filename: isReadOnly ? path : overlay };
    const image = { "driver": driver, "node-name": imageNode, file, ...(isReadOnly ? { "read-only": true } : {}) }; // prettier-ignore
    args.push("-blockdev", JSON.stringify(image));
  }
  return args;
}

async function runQemuImg(args: readonly string[]): Promise<string> {
  const program = join(getBuiltFolder("qemu"), "qemu-img");
  try {
    const { stdout } = await execute(program, args, { timeout: LIMIT_MS, env: { ...process.env, LC_ALL: "C" } });
    return stdout;
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() || (error as Error).message;
    throw new RecordingError(`a disk cannot be prepared: ${said.replace(/^qemu-img: /, "")}`);
  }
}
