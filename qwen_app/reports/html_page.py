"""A report as one HTML file that needs nothing else: no script, no picture, no font."""

from __future__ import annotations

from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #18181b; --soft: #63636b; --line: #e4e4e7; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececee; --soft: #a1a1aa; --line: #2e2e33; --paper: #111113; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.6 ui-sans-serif, system-ui, sans-serif; }
main { max-width: 900px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 23px; line-height: 1.3; } h2 { font-size: 18px; margin-top: 36px; } h3 { font-size: 15px; }
.report-table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); font-weight: 400; }
th, .hint { color: var(--soft); font-size: 13px; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 10px;
  padding: 10px 14px; max-height: 420px; overflow-y: auto; font: 13px/1.5 ui-monospace, Menlo, monospace; }
svg.chart { width: 100%; max-width: 620px; height: auto; }
summary { cursor: pointer; }
"""


def html_page(title: str, body: str, language: str) -> str:
    """The page; ``body`` is HTML, ``title`` text."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html>\n<html lang="{escape(language, quote=True)}"><head>{head}<title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><main>\n<h1>{escape(title)}</h1>\n{body}\n</main></body></html>\n"
    )
