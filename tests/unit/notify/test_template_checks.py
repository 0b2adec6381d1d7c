"""What is refused when a studio saves its own template."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.models import Channel, Kind
from services.notify.template_checks import Unsound, check
from services.notify.templates import Source, house

GOOD = house(Kind.REMINDER, Channel.EMAIL, "en")


def refusal(source: Source, channel: Channel = Channel.EMAIL) -> Unsound:
    with pytest.raises(Unsound) as caught:
        check(Kind.REMINDER, channel, source, "en")
    return caught.value


@pytest.mark.parametrize("field", ["subject", "html", "text"])
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("{{ class_type }} {{ start }} {{ credit_card }}", "UNKNOWN_VARIABLE"),
        ("{% if vip %}{{ class_type }}{% endif %} {{ start }}", "UNKNOWN_VARIABLE"),
        ("{{ class_type ", "TEMPLATE_SYNTAX"),
        ("{% if class_type %}{{ start }}", "TEMPLATE_SYNTAX"),
        ("  ", "TEMPLATE_EMPTY"),
        ("{% for i in '1234' %}{{ start }}{% endfor %}", "TEMPLATE_FORBIDDEN"),
        ("{{ class_type.__class__ }}", "TEMPLATE_FORBIDDEN"),
        ("{{ class_type['__class__'] }}", "TEMPLATE_FORBIDDEN"),
        ("{{ class_type * 1000000000 }}", "TEMPLATE_FORBIDDEN"),
        ("{{ class_type()() }}", "TEMPLATE_FORBIDDEN"),
        ("{{ lipsum(1000) }}", "TEMPLATE_FORBIDDEN"),
        ("{{ class_type|center(100000000) }}", "TEMPLATE_FORBIDDEN"),
        ("{{ class_type|safe }}", "TEMPLATE_FORBIDDEN"),
        ("{% include 'layout.html' %}", "TEMPLATE_FORBIDDEN"),
        ("{% set x = start %}", "TEMPLATE_FORBIDDEN"),
    ],
)
def test_what_a_template_cannot_say_is_refused_with_its_field(field: str, words: str, reason: str) -> None:
    fault = refusal(Source(**{**vars(GOOD), field: words}))
    assert (fault.field, fault.reason) == (field, reason)


@pytest.mark.parametrize(
    "words",
    [
        "{{ " + "(" * 9000,
        "{{ " + "(" * 300 + "start" + ")" * 300 + " }}",
        "{{ " + "9" * 9000 + " }}",
        "{% if start %}" * 600 + "{% endif %}" * 600,
        "{{ " + " ~ ".join(["start"] * 1200) + " }}",
        "{{ " + "not " * 2000 + "start }}",
        "{{ start if start > 1 }}",
        "{{ start if }}",
        "{% raw %}{{ start }}",
        "{{ '\\ud800' }}",
    ],
)
def test_what_is_made_to_break_it_raises_nothing_else(words: str) -> None:
    with suppress(Unsound):
        check(Kind.REMINDER, Channel.EMAIL, Source(GOOD.subject, GOOD.html, f"{words}{GOOD.text}"), "en")


@settings(deadline=None)
@given(st.text(st.sampled_from("{}%<>/!-[]()|~.=\"' abcdefif0123456789starclyp_&;"), max_size=60))
def test_nothing_that_is_typed_breaks_the_check(typed: str) -> None:
    for field in ("subject", "html", "text"):
        with suppress(Unsound):
            check(Kind.REMINDER, Channel.EMAIL, Source(**{**vars(GOOD), field: typed + vars(GOOD)[field]}), "en")


def test_an_unknown_variable_is_named_with_what_there_is() -> None:
    fault = refusal(Source(**{**vars(GOOD), "text": "{{ class_type }} {{ start }} {{ nmae }}"}))
    assert "nmae" in fault.message
    assert "name" in fault.message.partition("it has")[2]


@pytest.mark.parametrize("field", ["html", "text"])
def test_a_variable_without_which_the_message_is_of_no_use_is_missed(field: str) -> None:
    fault = refusal(Source(**{**vars(GOOD), field: "{{ class_type }}"}))
    assert (fault.field, fault.reason) == (field, "MISSING_VARIABLE")
    assert "start" in fault.message


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("<p>", "HTML_UNBALANCED"),
        ("</td>", "HTML_UNBALANCED"),
        ("<b><i></b></i>", "HTML_UNBALANCED"),
        # Closed only when there is a spot.
        ("<p>{% if spot %}</p>{% endif %}", "HTML_UNBALANCED"),
        ("<script>alert(1)</script>", "HTML_FORBIDDEN"),
        ('<img src="x" onerror="alert(1)">', "HTML_FORBIDDEN"),
        ('<a href=" JavaScript:alert(1)">x</a>', "HTML_FORBIDDEN"),
        ("<style>.card { display: none }</style>", "HTML_FORBIDDEN"),
    ],
)
def test_html_that_breaks_a_mail_is_refused(html: str, reason: str) -> None:
    fault = refusal(Source(GOOD.subject, f"{html}{{{{ class_type }}}} {{{{ start }}}}", GOOD.text))
    assert (fault.field, fault.reason) == ("html", reason)


def test_parts_are_for_html() -> None:
    fault = refusal(Source(GOOD.subject, GOOD.html, '{{ heading("x") }} {{ class_type }} {{ start }}'))
    assert fault.reason == "TEMPLATE_FORBIDDEN"
    fault = refusal(Source(GOOD.subject, "{{ heading() }} {{ class_type }} {{ start }}", GOOD.text))
    assert fault.reason == "TEMPLATE_FAILS"


def test_a_text_message_has_an_end() -> None:
    fault = refusal(Source("", "", "{{ class_type }} {{ start_short }}" + "a" * 1600), Channel.SMS)
    assert fault.reason == "MESSAGE_LENGTH"
    check(Kind.REMINDER, Channel.SMS, Source("", "", "{{ class_type }} {{ start_short }}"), "en")
