"""Plots as SVG: lines over a logarithmic scale, and bars. Nothing but text is written, so they need no library."""

import math
from html import escape

COLOURS = ["#777777", "#d62728", "#ff7f0e", "#2ca02c", "#1f77b4", "#9467bd", "#8c564b", "#17becf"]
WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 80, 240, 50, 45
LABEL = 16                  # between two lines of text


def text(x, y, words, **style):
    style = {"anchor": "start", "size": 13, "fill": "#222222", **style}
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{style["anchor"]}" font-size="{style["size"]}" '
            f'fill="{style["fill"]}">{escape(words)}</text>')


def page(title, height, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                      f'height="{height}" font-family="sans-serif">',
                      f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
                      text(LEFT, 28, title, size=17), *parts, "</svg>"]) + "\n"


def tick(value):
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g} {name}"
    return f"{value:g}"


def spread(wanted, low, high):
    """Places for labels as near to the wanted ones as fits without overlap, in the same order."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = {}
    last = low - LABEL
    for i in order:
        last = placed[i] = max(wanted[i], last + LABEL)
    limit = high + LABEL
    for i in reversed(order):
        limit = placed[i] = min(placed[i], limit - LABEL)
    return [placed[i] for i in range(len(wanted))]


def lines(title, unit, categories, series):
    """One line for each (name, values), a value for each category; what is None or not above 0 is left out."""
    points = [value for _, values in series for value in values if value and value > 0]
    low = math.floor(math.log10(min(points))) if points else 0
    high = max(math.ceil(math.log10(max(points))) if points else 1, low + 1)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(i):
        return LEFT + 30 + (right - LEFT - 60) * (i / (len(categories) - 1) if len(categories) > 1 else 0.5)

    def y(value):
        return bottom - (bottom - TOP) * (math.log10(value) - low) / (high - low)
    parts = []
    for power in range(low, high + 1):
        at = y(10.0 ** power)
        parts += [f'<line x1="{LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}" stroke="#cccccc"/>',
                  text(LEFT - 8, at + 4, tick(10.0 ** power), anchor="end")]
    parts += [text(x(i), bottom + 22, name, anchor="middle") for i, name in enumerate(categories)]
    ends = []
    for index, (name, values) in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        path = [(x(i), y(value)) for i, value in enumerate(values) if value and value > 0]
        if path:
            parts.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in path)}" fill="none" '
                         f'stroke="{colour}" stroke-width="2"/>')
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour}"/>' for a, b in path]
            ends.append((name, colour, *path[-1]))
    for (name, colour, a, b), at in zip(ends, spread([end[3] for end in ends], TOP, bottom)):
        parts += [f'<line x1="{a + 5:.1f}" y1="{b:.1f}" x2="{right + 6}" y2="{at:.1f}" stroke="{colour}" stroke-width="0.5"/>',
                  text(right + 10, at + 4, name, fill=colour)]
    return page(f"{title}, {unit}", HEIGHT, parts)


def bars(title, unit, values):
    """A bar for each (name, value), from 0; None leaves out the name and keeps its colour."""
    there = [(index, name, value) for index, (name, value) in enumerate(values) if value is not None]
    most = max([value for _, _, value in there] + [1])
    height = TOP + 34 * len(there) + 20
    parts = []
    for row, (index, name, value) in enumerate(there):
        top, width = TOP + 34 * row, (WIDTH - RIGHT - 120) * max(value, 0) / most
        parts += [text(RIGHT - 10, top + 17, name, anchor="end"),
                  f'<rect x="{RIGHT}" y="{top}" width="{width:.1f}" height="24" fill="{COLOURS[index % len(COLOURS)]}"/>',
                  text(RIGHT + width + 8, top + 17, f"{value:,.0f} {unit}")]
    return page(title, height, parts)
