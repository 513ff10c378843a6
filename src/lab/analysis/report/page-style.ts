import { VERDICT_STYLE } from "./verdict-section";

/** The style of the report and of its parts. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; } body.part { max-width: none; margin: 0; padding: 0; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #8886; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
td, th { padding: .15rem .8rem .15rem 0; vertical-align: top; } td { overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
code, .code { font-family: ui-monospace, monospace; font-size: .9em; white-space: pre-wrap; }
ul.tree, ul.tree ul { list-style: none; padding-left: 1rem; border-left: 1px solid #8886; }
.muted { opacity: .65; } .bad { color: #c0392b; font-weight: 600; } .good { color: #1e8449; font-weight: 600; }
figure { margin: .5rem 0; } svg { width: 100%; height: 60px; border-bottom: 1px solid #8886; }
img { max-width: 100%; border: 1px solid #8886; margin: .5rem 0; } summary { cursor: pointer; }
.further p { max-height: 8rem; overflow: auto; }
iframe { width: 100%; height: 60vh; border: 1px solid #8886; }
@media print { body { max-width: none; margin: 0; } details { break-inside: auto; } tr { break-inside: avoid; } }
${VERDICT_STYLE}`;

/** No script runs, and nothing is loaded but the report's own parts: the content comes from the target, which is hostile. */
export const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self' file:";
