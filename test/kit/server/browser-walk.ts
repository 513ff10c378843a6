import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { PASSWORD } from "./test-server";

const BROWSER = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => existsSync(path));
const AXE = readFileSync(createRequire(__filename).resolve("axe-core/axe.min.js"), "utf8");

/** A browser's window on a server. */
export interface Walk {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the pages have complained about, and what was asked for elsewhere. */
  readonly complaints: readonly string[];
}

/** Opens a server in Debian's Chromium without a screen. */
export async function withWalk(
  url: string,
  options: BrowserContextOptions,
  use: (walk: Walk) => Promise<void>,
): Promise<void> {
  // prettier-ignore
  const browser = await chromium.launch({ executablePath: BROWSER!, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] }); // prettier-ignore
  try {
    const context = await browser.newContext({ baseURL: url, viewport: { width: 1280, height: 900 }, ...options });
    const complaints: string[] = [];
    context.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    context.on("weberror", (error) => complaints.push(String(error.error())));
    context.on("request", (request) => {
      if (!request.url().startsWith(url) && !/^(data|about|blob):/.test(request.url())) complaints.push(request.url());
    });
    await use({ page: await context.newPage(), context, complaints });
  } finally {
    await browser.close();
  }
}

/** Signs in by the page. */
export async function signInByPage(page: Page, user: string): Promise<void> {
  await page.goto("/");
  await page.getByLabel("Name").fill(user);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("/");
}

/** Lists the serious faults that axe finds in a page, for people who cannot see it, hear it or use a mouse. */
export async function findFaults(page: Page): Promise<string[]> {
  // Evaluated by the debugger, which the page's policy is not about.
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    interface Violation {
      readonly id: string;
      readonly impact?: string;
      readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
    }
    const { axe } = globalThis as unknown as { axe: { run(context: object, options: object): Promise<{ violations: Violation[] }> } }; // prettier-ignore
    // What is in the report's frame is the report's own page.
    const { violations } = await axe.run({ exclude: [["iframe"]] }, { iframes: false });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`,
      );
  });
}
