"""Draws a critical-difference diagram as SVG: rows at their mean ranks, bars over rows not told apart.

Demšar 2006, figure 1. It stands alone as a file and inside the report, needs no script, and follows the
reader's light or dark colours.
"""

from __future__ import annotations

from results.ranking.ranking import Ranking
from results.tables.escape import html_text

AXIS, LINE = 380, 20  # pixels: of the axis, of a line of text
SIDE, MOST, LETTER = 190, 400, 7  # of the labels on each side at least and at most, and of a letter
NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'
TOP, BARS = 64, 9  # where the axis is; from one bar to the next
STYLE = (
    ".cd{font:13px system-ui,sans-serif;color-scheme:light dark}.cd text{fill:#1c2026}.cd line,.cd path"
    "{stroke:#1c2026;fill:none}.cd .bar{stroke:#d55e00;stroke-width:5;stroke-linecap:round}.cd .thin"
    "{stroke:#5b6470}@media (prefers-color-scheme:dark){.cd text{fill:#e6e9ed}.cd line,.cd path"
    "{stroke:#e6e9ed}"
    ".cd .bar{stroke:#e69f00}.cd .thin{stroke:#9aa4b1}}@media print{.cd text{fill:#000}.cd line,.cd path"
    "{stroke:#000}.cd .bar{stroke:#d55e00}}"
)


def critical_svg(ranking: Ranking, file: bool = False) -> str:
    """The picture as text, the best rows at the left; a `file` of its own must name its language."""
    k = len(ranking.places)
    half = (k + 1) // 2
    longest = max(len(place.label) for place in ranking.places)
    side = min(max(SIDE, LETTER * (longest + 7)), MOST)  # with the rank and the line to it
    wide = AXIS + 2 * side
    below = TOP + 16 + BARS * len(ranking.runs)
    height = below + LINE * half + 14

    def x(rank: float) -> float:
        return side + AXIS * (rank - 1) / (k - 1)

    parts = [
        f'<path d="M{x(1):.1f} {TOP}H{x(k):.1f}"/>',
        *(
            f'<path d="M{x(tick):.1f} {TOP}v-6"/><text x="{x(tick):.1f}" y="{TOP - 10}" '
            f'text-anchor="middle">{tick}</text>'
            for tick in range(1, k + 1)
        ),
        *_scale(ranking.critical, x(1), x(min(1 + ranking.critical, k)), ranking.critical > k - 1),
    ]
    for number, (first, last) in enumerate(ranking.runs):
        ends = [x(ranking.places[place].rank) for place in (first, last)]
        y = TOP + 10 + BARS * number
        parts.append(f'<line class="bar" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y}" y2="{y}"/>')
    for number, place in enumerate(ranking.places):
        left = number < half
        y = below + LINE * (number if left else k - 1 - number) + 10
        end, anchor = (side - 8, "end") if left else (wide - side + 8, "start")
        label = html_text(f"{place.label} {place.rank:.2f}")
        parts.append(f'<path class="thin" d="M{x(place.rank):.1f} {TOP}V{y}H{end}"/>')
        text_x = end - 4 if left else end + 4
        parts.append(f'<text x="{text_x}" y="{y + 4}" text-anchor="{anchor}">{label}</text>')
    said = f"mean ranks of {k} rows over {len(ranking.sets)} {ranking.what}, CD {ranking.critical:.2f}"
    return (
        f'<svg class="cd"{NAMESPACE if file else ""} viewBox="0 0 {wide} {height}" '
        f'style="max-width:{wide}px;width:100%" role="img" aria-label="{html_text(said)}">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _scale(critical: float, start: float, end: float, cut: bool) -> list[str]:
    """The length of the critical difference above the axis; open where it is longer than the axis."""
    close = "" if cut else f'<path d="M{end:.1f} 20v8"/>'
    return [
        f'<path d="M{start:.1f} 24H{end:.1f}"/><path d="M{start:.1f} 20v8"/>{close}',
        f'<text x="{(start + end) / 2:.1f}" y="16" text-anchor="middle">CD {critical:.2f}</text>',
    ]
