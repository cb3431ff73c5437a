# SPDX-License-Identifier: MIT
"""The charts of docs/baseline.md."""
import math
from xml.sax.saxutils import escape

from baseline_page import number, verdict_rows


def drawing(height, title, parts, width=560):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + 10}" font-family="sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="white"/><text x="10" y="18">{title}</text>{"".join(parts)}</svg>\n')


def bar(x, y, width, colour):
    return f'<rect x="{x}" y="{y}" width="{max(1, width):.1f}" height="14" fill="{colour}"/>'


def endpoints(result):
    """p95 of each endpoint, on a logarithmic scale: document, naive, library."""
    rows = [row for row in result['endpoints'] if row['name'].endswith(' p95')]
    colours = {'document': '#9aa0a6', 'naive': '#d9822b', 'library': '#2b7de9'}
    parts, y = [], 30
    for row in rows:
        parts.append(f'<text x="10" y="{y + 12}" font-weight="bold">{row["name"].removesuffix(" p95")}</text>')
        y += 20
        for side, colour in colours.items():
            value = row[side]['median'] if isinstance(row[side], dict) else row[side]
            if not value:
                continue
            width = 60 * (math.log10(max(value, 0.01)) + 2)
            parts.append(bar(120, y, width, colour))
            parts.append(f'<text x="10" y="{y + 12}">{side}</text><text x="{126 + width:.0f}" y="{y + 12}">{number(value)} ms</text>')
            y += 18
        y += 8
    return drawing(y, 'p95, milliseconds, logarithmic', parts)


def targets(result):
    """How many times better than its target each criterion is, on a logarithmic scale; the line is the target."""
    parts, y = [], 34
    for met, what, _, measured, times in verdict_rows(result):
        factor = float(times.removesuffix(' ×').replace(',', '')) if times.endswith('×') else 0
        length = 60 * (math.log10(min(10000, max(0.1, factor))) + 1) if factor else 0
        parts.append(f'<text x="10" y="{y + 12}">{escape(what)}</text>{bar(430, y, length, "#2e8b57" if met else "#c0392b")}'
                     f'<text x="{436 + length:.0f}" y="{y + 12}">{escape(times if factor else measured)}</text>')
        y += 18
    parts.append(f'<path d="M490 26V{y}" stroke="#555" stroke-dasharray="3"/>')
    return drawing(y, 'times below the target, logarithmic; the line is the target', parts, 800)
