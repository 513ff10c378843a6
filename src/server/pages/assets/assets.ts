import { createHash } from "node:crypto";
import type { App } from "../../api/app";
import { readScript } from "./script-bundle";
import { STYLE } from "./style";

interface Asset {
  readonly path: string;
  readonly type: string;
  readonly text: string;
}

let assets: { readonly style: Asset; readonly script: Asset } | undefined;

/** Returns what pages load: the hash in a name changes with the content, so browsers may keep it for ever. */
export function getAssets(): { readonly style: Asset; readonly script: Asset } {
  return (assets ??= {
    style: makeAsset("css", "text/css; charset=utf-8", STYLE),
    script: makeAsset("js", "text/javascript; charset=utf-8", readScript()),
  });
}

/** Adds the routes of the style and the script. */
export function addAssetRoutes(app: App): void {
  for (const { path, type, text } of Object.values(getAssets()))
    app.get(path, { config: { access: "open" }, schema: { hide: true } }, (_request, reply) =>
      reply.header("cache-control", "public, max-age=31536000, immutable").type(type).send(text),
    );
}

function makeAsset(ending: string, type: string, text: string): Asset {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return { path: `/assets/rebox-${hash}.${ending}`, type, text };
}
