import { markup } from "../../lab/analysis/report/markup";
import type { Caller } from "../accounts/roles";
import type { ErrorAnswer } from "../http/answer-errors";
import { renderPage } from "./layout";

const TITLES: Readonly<Record<number, string>> = {
  ...{ 400: "This request is not understood", 401: "Sign in first", 403: "This is not permitted" },
  ...{ 404: "There is nothing here", 409: "This cannot be done now", 413: "This is too large" },
  ...{ 429: "Too many requests", 507: "The disk is full" },
};

/** Renders the page about an error. */
export function renderErrorPage({ status, code, message }: ErrorAnswer, caller: Caller | undefined): string {
  const title = TITLES[status] ?? (status < 500 ? "This request is not understood" : "The server has failed");
  return renderPage({
    ...{ title, caller },
    content: markup`<h1>${title}</h1>
<p class="notice bad" role="alert">${message}</p>
<p class="muted">${code} <a href="/">To the analyses</a></p>`,
  });
}
