import type { Verdict } from "./verdict";

/** A layer of the ATT&CK Navigator, in its format 4.5. */
export interface NavigatorLayer {
  readonly name: string;
  readonly versions: { readonly attack: string; readonly navigator: string; readonly layer: string };
  readonly domain: "enterprise-attack";
  readonly description: string;
  readonly techniques: readonly {
    readonly techniqueID: string;
    readonly score: number;
    readonly comment: string;
    readonly enabled: true;
  }[];
  readonly gradient: { readonly colors: readonly string[]; readonly minValue: number; readonly maxValue: number };
}

/** Makes a layer of the techniques that were found, each with the highest score of what has found it. */
export function createNavigatorLayer({ findings, score, judgement }: Verdict, name: string): NavigatorLayer {
  const found = new Map<string, { score: number; titles: Set<string> }>();
  for (const finding of findings) {
    for (const technique of finding.techniques) {
      const one = found.get(technique) ?? { score: 0, titles: new Set<string>() };
      one.score = Math.max(one.score, finding.score);
      found.set(technique, one);
      one.titles.add(finding.title);
    }
  }
  const techniques = [...found].map(([techniqueID, { score: highest, titles }]) => ({
    ...{ techniqueID, score: highest, comment: [...titles].join("; "), enabled: true as const },
  }));
  return {
    name,
    versions: { attack: "17", navigator: "5.1.0", layer: "4.5" },
    domain: "enterprise-attack",
    description: `${score} of 10: ${judgement}`,
    techniques,
    gradient: { colors: ["#ffffff", "#ffd966", "#c0392b"], minValue: 0, maxValue: 10 },
  };
}
