import { ReboxError } from "../config/rebox-error";

/** Reports that a server cannot start, or that its accounts cannot be changed so. */
export class ServerError extends ReboxError {
  readonly code = "REBOX_SERVER";
}

/** An error that a server answers a request with. */
export abstract class RequestError extends ReboxError {
  /** The status of the answer. */
  abstract readonly status: number;
}

/** Reports a request that is not understood, or asks for what there is not. */
export class BadRequestError extends RequestError {
  readonly code = "REBOX_REQUEST";
  readonly status = 400;
}

/** Reports that the caller is not known, or lacks the right. */
export class AccessError extends RequestError {
  readonly code = "REBOX_ACCESS";

  /** @param status 401 when nobody has signed in, 403 when the right is missing */
  constructor(
    message: string,
    readonly status: 401 | 403,
  ) {
    super(message);
  }
}

/** Reports that a server has no such analysis, file, user or machine. */
export class NotThereError extends RequestError {
  readonly code = "REBOX_NOT_THERE";
  readonly status = 404;
}

/** Reports that something is not in the state that a request needs. */
export class ConflictError extends RequestError {
  readonly code = "REBOX_CONFLICT";
  readonly status = 409;
}

/** Reports a file that is too large, or for which there is no room. */
export class UploadError extends RequestError {
  readonly code = "REBOX_UPLOAD";

  /** @param status 413 when it is too large, 507 when the disk is full */
  constructor(
    message: string,
    readonly status: 413 | 507,
  ) {
    super(message);
  }
}

/** Reports that as much goes on as may at once. */
export class BusyError extends RequestError {
  readonly code = "REBOX_BUSY";
  readonly status = 429;
}
