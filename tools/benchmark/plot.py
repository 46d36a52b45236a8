#!/usr/bin/env python3
"""Draws the growth curves of karvan-bench: reads rows,ids,part,plain_us,engine_us, writes an SVG.

usage: plot.py CURVES.csv PICTURE.svg
"""

import csv
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 420, 70, 30, 60
COLOURS = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b9770e", "#566573"]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        points = list(csv.DictReader(file))
    if not points:
        sys.exit(f"{sys.argv[1]}: no points")
    for point in points:
        point["part"] += f", {point['ids']} ids"
    parts = list(dict.fromkeys(point["part"] for point in points))
    rows = sorted({int(point["rows"]) for point in points})
    costs = [float(point[side]) for point in points for side in ("plain_us", "engine_us")]
    low = 10 ** math.floor(math.log10(min(costs)))
    high = 10 ** math.ceil(math.log10(max(costs)))

    def across(count):
        span = math.log10(rows[-1] / rows[0]) or 1
        return LEFT + (WIDTH - LEFT - 200) * math.log10(count / rows[0]) / span

    def down(cost):
        share = math.log10(cost / low) / math.log10(high / low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18">microseconds for one more row, by the rows there are '
        "(each updated ten times)</text>",
    ]
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        y = down(10**power)
        lines.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 200}" stroke="#ddd"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10**power:g}</text>')
    for count in rows:
        x, y = across(count), HEIGHT - BOTTOM + 18
        lines.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{count:,}</text>')
    for number, part in enumerate(parts):
        colour = COLOURS[number % len(COLOURS)]
        for side, dash in (("engine_us", ""), ("plain_us", ' stroke-dasharray="5 4"')):
            found = [point for point in points if point["part"] == part]
            path = " ".join(
                f"{across(int(point['rows'])):.1f},{down(float(point[side])):.1f}"
                for point in found
            )
            lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}"{dash}/>')
        y = TOP + 20 + 18 * number
        lines.append(f'<text x="{WIDTH - 190}" y="{y}" fill="{colour}">{part}</text>')
    lines.append(
        f'<text x="{WIDTH - 190}" y="{TOP + 30 + 18 * len(parts)}">dashed: plain SQLite</text>')
    lines.append("</svg>")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
