import type { MeasureContext } from "./measure";

type Side = "rebox" | "plain";

/**
 * Measures two things one after the other, again and again. Which one is first changes with each pair, so that neither
 * profits from what the other leaves behind.
 *
 * @param measure measures one side once
 */
export async function alternate(
  name: string,
  { pairs, say }: MeasureContext,
  measure: (side: Side) => Promise<void>,
): Promise<void> {
  for (let pair = 0; pair < pairs; pair++) {
    const order: Side[] = pair % 2 === 0 ? ["rebox", "plain"] : ["plain", "rebox"];
    for (const side of order) {
      say(`${name}: pair ${pair + 1} of ${pairs}, ${side}`);
      await measure(side);
    }
  }
}
