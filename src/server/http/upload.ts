import type { Multipart } from "@fastify/multipart";
import type { FastifyRequest } from "fastify";
import { BadRequestError, RequestError } from "../errors";
import type { StoredSample } from "../queue/sample-store";
import { isWanted } from "../../lab/keeping/wanted-content";
import type { ServerParts } from "../server-parts";
import { checkForgery } from "./access";

const MOST_FILES = 50;
const MOST_FIELDS = 500;
/** In bytes. */
const LONGEST_FIELD = 64 << 10;

const LOST = () => new BadRequestError("the connection was lost in the middle of the form");

/** The content of a form with files. */
export interface Upload {
  /** A field that is there more than once is a list. */
  readonly fields: Readonly<Record<string, string | string[]>>;
  readonly samples: readonly StoredSample[];
}

/**
 * Lets something be done with a form with files. A file of which no analysis was made does not stay: its form was broken off, or asked for what
 * there is not.
 *
 * @throws BadRequestError, UploadError, AccessError; the error of use()
 */
export async function withUpload<Result>(
  request: FastifyRequest,
  parts: ServerParts,
  use: (upload: Upload) => Promise<Result>,
): Promise<Result> {
  const samples: StoredSample[] = [];
  try {
    return await use({ fields: await readUpload(request, parts, samples), samples });
  } finally {
    for (const { sha256 } of samples) parts.samples.release(sha256, () => isWanted(parts, sha256));
  }
}

/**
 * Reads a form with files as it comes: files go to the disk, and are never in memory. The word against forgery has to come before
 * the first file, as header or field.
 *
 * @param samples gets each file when it has come
 * @returns the fields
 */
async function readUpload(
  request: FastifyRequest,
  { samples: store, settings, counts }: ServerParts,
  samples: StoredSample[],
): Promise<Upload["fields"]> {
  const fields: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  const limits = { files: MOST_FILES, fields: MOST_FIELDS, fieldSize: LONGEST_FIELD, fileSize: settings.largestUpload + 1, parts: MOST_FILES + MOST_FIELDS }; // prettier-ignore
  if (!request.isMultipart()) throw new BadRequestError("send a form as multipart/form-data");
  let isChecked = request.headers["x-csrf-token"] !== undefined;
  if (isChecked) checkForgery(request, request.headers["x-csrf-token"]);
  for await (const part of listParts(request, limits)) {
    if (part.type === "field") {
      const value = String(part.value);
      if (part.fieldname === "csrf") {
        checkForgery(request, value);
        isChecked = true;
      } else addField(fields, part.fieldname, value);
      continue;
    }
    if (!isChecked) checkForgery(request, undefined);
    // A form whose file was left empty sends one without a name.
    if (part.fieldname !== "file" || part.filename === "") {
      part.file.resume();
      continue;
    }
    const sample = await store.receive(part.file, part.filename, settings.largestUpload).catch((error: unknown) => {
      throw request.raw.complete || error instanceof RequestError ? error : LOST();
    });
    counts.uploadedBytes += sample.size;
    samples.push(sample);
  }
  if (!isChecked) checkForgery(request, undefined);
  return { ...fields };
}

/** Lists the parts of a form as they come. @throws BadRequestError when it is malformed, or its connection breaks */
async function* listParts(request: FastifyRequest, limits: object): AsyncGenerator<Multipart> {
  const { raw } = request;
  let current: Multipart | undefined;
  let isBroken = false;
  let onClose = (): void => {};
  // What parses the form waits for more of it for ever.
  const broken = new Promise<never>((_resolve, reject) => {
    onClose = () => {
      if (raw.complete) return;
      isBroken = true;
      if (current?.type === "file") current.file.destroy(LOST());
      reject(LOST());
    };
  });
  broken.catch(() => undefined);
  raw.once("close", onClose);
  // It may have been lost before anybody listened.
  if (raw.destroyed) onClose();
  try {
    const parts = request.parts({ limits });
    for (;;) {
      const { value, done } = await Promise.race([parts.next(), broken]);
      if (done === true) return;
      current = value as Multipart;
      if (isBroken) throw LOST();
      yield current;
    }
  } catch (error) {
    if (error instanceof RequestError || (error as { statusCode?: number }).statusCode !== undefined) throw error;
    throw new BadRequestError(`the form is malformed: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    raw.off("close", onClose);
  }
}

function addField(fields: Record<string, string | string[]>, name: string, value: string): void {
  const before = fields[name];
  fields[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
}
