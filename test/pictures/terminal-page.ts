const COLUMN_PX = 8.43;
const LINE_PX = 18;
const COLOURS = ["#3b4252", "#d0606b", "#8fb573", "#d9b45b", "#6f9fd8", "#b48ead", "#6fb7c4", "#d8dee9"];
const BRIGHT = ["#7b88a1", "#e8808a", "#a9cf8c", "#f0cf7f", "#8fbcf0", "#cfa9c8", "#8fd3df", "#ffffff"];
const TEXT = "#d8dee9";
const GROUND = "#1d2129";
// eslint-disable-next-line no-control-regex -- styles are made of control characters
const SGR_OR_TEXT = /\x1b\[([0-9;]*)m|([^\x1b]+)/g;

interface Style {
  text: string;
  ground: string;
  isBold: boolean;
  isReversed: boolean;
}

/**
 * Makes an HTML page that shows a terminal's screen as the terminal does.
 *
 * @param screen rows with their styles, as `tmux capture-pane -e` writes them
 * @param columns of the terminal
 * @param title is shown above the screen
 */
export function makeTerminalPage(screen: string, columns: number, title: string): string {
  const style = plainStyle();
  const rows = screen.split("\n").map((row) => {
    const cells = row.replace(SGR_OR_TEXT, (_, codes: string | undefined, text: string | undefined) => {
      if (text !== undefined) return `<span style="${toCss(style)}">${escapeText(text)}</span>`;
      applyCodes(style, codes!);
      return "";
    });
    return `<div>${cells}</div>`;
  });
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; padding: 14px; background: #ffffff; }
    main { background: ${GROUND}; border-radius: 8px; padding: 0 14px 12px; width: ${Math.ceil(columns * COLUMN_PX)}px; }
    header { color: #8b95a7; font: 13px sans-serif; text-align: center; line-height: 34px; }
    div { height: ${LINE_PX}px; white-space: pre; color: ${TEXT}; font: 14px/${LINE_PX}px "DejaVu Sans Mono", monospace; }
    span { display: inline-block; height: ${LINE_PX}px; vertical-align: top; }
  </style><main><header>${escapeText(title)}</header>${rows.join("")}</main>`;
}

function plainStyle(): Style {
  return { text: TEXT, ground: "transparent", isBold: false, isReversed: false };
}

/** Applies the codes of one SGR sequence (ECMA-48, 8.3.117), colours from the table of 16 only. */
function applyCodes(style: Style, codes: string): void {
  for (const code of codes.split(";").map(Number)) {
    if (code === 0) Object.assign(style, plainStyle());
    else if (code === 1) style.isBold = true;
    else if (code === 22) style.isBold = false;
    else if (code === 7) style.isReversed = true;
    else if (code === 27) style.isReversed = false;
    else if (code >= 30 && code <= 37) style.text = COLOURS[code - 30]!;
    else if (code === 39) style.text = TEXT;
    else if (code >= 40 && code <= 47) style.ground = COLOURS[code - 40]!;
    else if (code === 49) style.ground = "transparent";
    else if (code >= 90 && code <= 97) style.text = BRIGHT[code - 90]!;
  }
}

function toCss({ text, ground, isBold, isReversed }: Style): string {
  const shown = isBold && text === TEXT ? BRIGHT.at(-1)! : text;
  const [front, back] = isReversed ? [ground === "transparent" ? GROUND : ground, text] : [shown, ground];
  return `color:${front};background:${back}${isBold ? ";font-weight:bold" : ""}`;
}

function escapeText(text: string): string {
  return text.replace(/[&<>]/g, (mark) => `&#${mark.charCodeAt(0)};`);
}
