import type { FastifyInstance } from "fastify";

/** Nothing is loaded from elsewhere, and no code or style stands in a page. */
const PAGE_POLICY = [
  ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'"],
  ...["frame-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"],
].join("; ");

/** For files that come from a guest: nothing in them has any right. */
export const HOSTILE_POLICY = "default-src 'none'; sandbox";

/** Gives each answer the headers that keep a browser from harm. */
export function addSecurityHeaders(app: FastifyInstance, isEncrypted: boolean): void {
  app.addHook("onSend", async (_request, reply) => {
    const add = (name: string, value: string) => {
      if (!reply.hasHeader(name)) reply.header(name, value);
    };
    // A report is shown in a frame that has no origin, and is harmless wherever it is shown.
    const isSandboxed = String(reply.getHeader("content-security-policy") ?? "").includes("sandbox");
    add("content-security-policy", PAGE_POLICY);
    add("x-content-type-options", "nosniff");
    if (!isSandboxed) {
      add("x-frame-options", "DENY");
      add("cross-origin-opener-policy", "same-origin");
    }
    add("referrer-policy", "same-origin");
    add("cross-origin-resource-policy", "same-origin");
    add("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    add("cache-control", "no-store");
    if (isEncrypted) add("strict-transport-security", "max-age=31536000");
  });
}
