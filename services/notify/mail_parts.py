"""What a mail is put together from, in house and studio templates alike, in the HTML that mail programs show.

Styles stand on the tags, since many programs drop the rest; the class names are for the dark mode of `layout.html`.
"""

from collections.abc import Callable, Mapping

from markupsafe import Markup, escape


def _heading(words: str) -> Markup:
    return _html(
        f'<h1 class="ink" style="margin:0 0 16px;font-size:22px;line-height:1.3;color:#1c1f24;">{escape(words)}</h1>'
    )


def _paragraph(words: str) -> Markup:
    return _html(f'<p style="margin:0 0 16px;">{escape(words)}</p>')


def _row(label: str, value: str) -> Markup:
    if not value:
        return _html("")
    return _html(
        '<tr><td class="faint" style="padding:4px 16px 4px 0;vertical-align:top;white-space:nowrap;color:#5b606a;">'
        f'{escape(label)}</td><td class="ink" style="padding:4px 0;width:100%;color:#1c1f24;">{escape(value)}</td></tr>'
    )


def _facts(*rows: Markup) -> Markup:
    return _html(
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="width:100%;margin:0 0 16px;">'
        f"{''.join(map(escape, rows))}</table>"
    )


def _button(link: str, words: str) -> Markup:
    return _html(
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:8px 0 0;"><tr>'
        '<td class="button" style="border-radius:6px;background-color:#1f6f60;">'
        f'<a class="button" href="{escape(link)}" style="display:inline-block;padding:12px 20px;border-radius:6px;'
        f'color:#ffffff;text-decoration:none;font-weight:600;">{escape(words)}</a></td></tr></table>'
    )


def _lines(text: str) -> Markup:
    """Each line of a value as a point of a list."""
    points = "".join(
        f'<li class="ink" style="margin:0 0 4px;color:#1c1f24;">{escape(line)}</li>'
        for line in text.split("\n")
        if line
    )
    return _html(f'<ul style="margin:0 0 16px;padding:0 0 0 20px;">{points}</ul>' if points else "")


def _quote(text: str) -> Markup:
    """What somebody wrote, line by line."""
    lines = "<br>".join(str(escape(line)) for line in text.split("\n"))
    return _html(
        '<p class="ink" style="margin:0 0 16px;padding:0 0 0 16px;border-left:3px solid #1f6f60;color:#1c1f24;">'
        f"{lines}</p>"
        if text
        else ""
    )


def _html(text: str) -> Markup:
    """Whose values are escaped; putting them in with `Markup.format` takes ten times as long."""
    return Markup(text)  # noqa: S704


PARTS: Mapping[str, Callable[..., Markup]] = {
    "heading": _heading,
    "paragraph": _paragraph,
    "row": _row,
    "facts": _facts,
    "button": _button,
    "lines": _lines,
    "quote": _quote,
}
