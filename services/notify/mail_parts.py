"""What a mail is put together from, in house and studio templates alike, in the HTML that mail programs show.

Styles stand on the tags, since many programs drop the rest; the class names are for the dark mode of `layout.html`.
"""

from collections.abc import Callable, Mapping

from markupsafe import Markup

_HEADING = Markup('<h1 class="ink" style="margin:0 0 16px;font-size:22px;line-height:1.3;color:#1c1f24;">{}</h1>')
_PARAGRAPH = Markup('<p style="margin:0 0 16px;">{}</p>')
_ROW = Markup(
    '<tr><td class="faint" style="padding:4px 16px 4px 0;vertical-align:top;white-space:nowrap;color:#5b606a;">{}</td>'
    '<td class="ink" style="padding:4px 0;width:100%;color:#1c1f24;">{}</td></tr>'
)
_TABLE = Markup(
    '<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="width:100%;margin:0 0 16px;">'
    "{}</table>"
)
_POINTS = Markup('<ul style="margin:0 0 16px;padding:0 0 0 20px;">{}</ul>')
_POINT = Markup('<li class="ink" style="margin:0 0 4px;color:#1c1f24;">{}</li>')
_BUTTON = Markup(
    '<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:8px 0 0;"><tr>'
    '<td class="button" style="border-radius:6px;background-color:#1f6f60;">'
    '<a class="button" href="{}" style="display:inline-block;padding:12px 20px;border-radius:6px;color:#ffffff;'
    'text-decoration:none;font-weight:600;">{}</a></td></tr></table>'
)


def _heading(words: str) -> Markup:
    return _HEADING.format(words)


def _paragraph(words: str) -> Markup:
    return _PARAGRAPH.format(words)


def _row(label: str, value: str) -> Markup:
    return _ROW.format(label, value) if value else Markup("")


def _facts(*rows: Markup) -> Markup:
    return _TABLE.format(Markup("").join(rows))


def _button(link: str, words: str) -> Markup:
    return _BUTTON.format(link, words)


def _lines(text: str) -> Markup:
    """Each line of a value as a point of a list."""
    points = Markup("").join(_POINT.format(line) for line in text.split("\n") if line)
    return _POINTS.format(points) if points else Markup("")


PARTS: Mapping[str, Callable[..., Markup]] = {
    "heading": _heading,
    "paragraph": _paragraph,
    "row": _row,
    "facts": _facts,
    "button": _button,
    "lines": _lines,
}
