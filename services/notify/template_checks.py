"""What a studio's own template may hold, looked at when it is saved: so that none breaks when it is sent.

Templates say variables and choose by them. There are no loops, no attributes, no calls but of `mail_parts`: nothing in
one can take long, grow large or reach for anything.
"""

from collections.abc import Iterable
from html.parser import HTMLParser

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

from services.notify import mail_parts, template_variables
from services.notify.models import Channel, Kind
from services.notify.templates import Source, render, render_fragment, render_push, render_sms

# What providers take as one message.
MAX_SMS = 1600

_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Const,
    nodes.Name,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Concat,
    nodes.Filter,
    nodes.Call,
)
_FILTERS = {"upper", "lower", "capitalize", "title", "trim"}
_FORBIDDEN_TAGS = {"script", "style", "iframe", "object", "embed", "form", "input", "link", "meta", "base", "svg"}
_EMPTY_TAGS = {"br", "hr", "img", "wbr"}


class Unsound(Exception):
    """What is wrong with a template: the field, a reason and words for the person who wrote it."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field, self.reason, self.message = field, reason, message


def check(kind: Kind, channel: Channel, source: Source, language: str) -> None:
    """Raises Unsound."""
    try:
        said = {field: _variables(kind, field, text) for field, text in _fields(channel, source).items()}
    except RecursionError:
        raise Unsound("text", "TEMPLATE_FORBIDDEN", "is nested too deeply") from None
    for field in said.keys() - {"subject"}:
        for group in template_variables.REQUIRED[kind]:
            # A tap on a push message opens the link.
            if not group & said[field] and not (channel == Channel.PUSH and "link" in group):
                wanted = " or ".join(sorted(group))
                raise Unsound(field, "MISSING_VARIABLE", f"does not say {wanted}, without which it is of no use")
    full = template_variables.sample(kind, language)
    sparse = full | {name: "" for name in full.keys() & template_variables.OPTIONAL}
    for values in (full, sparse):
        _try(kind, channel, source, values, language)


def _fields(channel: Channel, source: Source) -> dict[str, str]:
    if channel == Channel.SMS:
        return {"text": source.text}
    if channel == Channel.PUSH:
        return {"subject": source.subject, "text": source.text}
    return {"subject": source.subject, "html": source.html, "text": source.text}


def _variables(kind: Kind, field: str, text: str) -> set[str]:
    """The variables that a template says. Raises Unsound for what it cannot have."""
    if not text.strip():
        raise Unsound(field, "TEMPLATE_EMPTY", "must not be empty")
    try:
        tree = Environment(autoescape=True).parse(text)
    except TemplateSyntaxError as error:
        raise Unsound(field, "TEMPLATE_SYNTAX", f"line {error.lineno}: {error.message}") from None
    except ValueError:
        raise Unsound(field, "TEMPLATE_SYNTAX", "has a number with too many digits") from None
    parts = mail_parts.PARTS if field == "html" else {}
    for node in _all(tree):
        _check_node(field, node, parts)
    known = {*template_variables.VARIABLES[kind], "studio"}
    used = meta.find_undeclared_variables(tree) - parts.keys()
    if unknown := sorted(used - known):
        has = ", ".join(sorted(known))
        raise Unsound(field, "UNKNOWN_VARIABLE", f"says {unknown[0]}, which this message has not; it has {has}")
    return used


def _all(tree: nodes.Node) -> Iterable[nodes.Node]:
    yield tree
    for child in tree.iter_child_nodes():
        yield from _all(child)


def _check_node(field: str, node: nodes.Node, parts: Iterable[str]) -> None:
    line = f"line {node.lineno}: "
    if not isinstance(node, _ALLOWED):
        raise Unsound(field, "TEMPLATE_FORBIDDEN", f"{line}{type(node).__name__.lower()} is not possible here")
    if isinstance(node, nodes.Filter) and (node.name not in _FILTERS or node.args):
        raise Unsound(field, "TEMPLATE_FORBIDDEN", f"{line}the filter {node.name} is not possible here")
    if isinstance(node, nodes.Call) and not (isinstance(node.node, nodes.Name) and node.node.name in parts):
        raise Unsound(field, "TEMPLATE_FORBIDDEN", f"{line}only {', '.join(mail_parts.PARTS)} can be called, in HTML")


def _try(kind: Kind, channel: Channel, source: Source, values: dict[str, str], language: str) -> None:
    """Writes a whole message, since some mistakes show only then."""
    try:
        if channel == Channel.SMS:
            text = render_sms(kind, values, language=language, source=source)
            if not text or len(text) > MAX_SMS:
                raise Unsound("text", "MESSAGE_LENGTH", f"makes a message that is empty or longer than {MAX_SMS}")
            return
        if channel == Channel.PUSH:
            if not all(render_push(kind, values, language=language, source=source, studio="Studio")):
                raise Unsound("text", "MESSAGE_LENGTH", "makes a push message without a title or a text")
            return
        words = render(kind, values, language=language, source=source)
        _Tags().check(render_fragment(values, source))
    except Unsound:
        raise
    except Exception as error:
        # Whatever it is, it would come again with every message.
        raise Unsound("html" if source.html else "text", "TEMPLATE_FAILS", str(error)[:200]) from None
    if not words.subject:
        raise Unsound("subject", "MESSAGE_LENGTH", "makes a mail without a subject")


class _Tags(HTMLParser):
    """Tags that mail programs show and that are closed in their order; else the layout around them breaks."""

    def check(self, document: str) -> None:
        self._open: list[str] = []
        self.feed(document)
        self.close()
        if self._open:
            raise Unsound("html", "HTML_UNBALANCED", f"<{self._open[-1]}> is not closed")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _FORBIDDEN_TAGS:
            raise Unsound("html", "HTML_FORBIDDEN", f"<{tag}> is not possible in a mail")
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith(("javascript:", "data:text")):
                raise Unsound("html", "HTML_FORBIDDEN", f"{name} of <{tag}> is not possible in a mail")
        if tag not in _EMPTY_TAGS:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _EMPTY_TAGS:
            return
        if not self._open or self._open[-1] != tag:
            raise Unsound("html", "HTML_UNBALANCED", f"</{tag}> closes nothing that is open")
        self._open.pop()
