import { readFileSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Markup, markup } from "./markup";

/** In bytes; a larger picture stays a file. */
const LARGEST_PICTURE = 2 << 20;
const MOST_PICTURES = 200;

/** Renders pictures of the screen. @param folder the folder of the analysis */
export function renderPictures(files: readonly string[], folder: string): Markup {
  const pictures = files.slice(0, MOST_PICTURES).map((file) => {
    const picture = findPicture(folder, file);
    if (picture === undefined) return markup`<p class="muted">${file} is not shown here</p>`;
    return markup`<figure>
      <img alt="${file}" src="data:image/png;base64,${picture}" />
      <figcaption>${file}</figcaption>
    </figure>`;
  });
  return markup`<details open>
    <summary>Pictures</summary>
    ${pictures}
  </details>`;
}

/** Reads a picture; undefined when it is not there, too large, or not in the folder itself. */
function findPicture(folder: string, file: string): string | undefined {
  try {
    const path = realpathSync(join(folder, file));
    if (!path.startsWith(`${realpathSync(folder)}/`) || statSync(path).size > LARGEST_PICTURE) return undefined;
    return readFileSync(path).toString("base64");
  } catch {
    return undefined;
  }
}
