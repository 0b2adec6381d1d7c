"""The providers that the environment names, each with its gate and its open connections."""

from dataclasses import dataclass
from functools import cache
from typing import TypeVar, cast

from services.chassis.resources import Resources
from services.notify.providers import resend, sendgrid, smtp
from services.notify.providers.gate import Gate
from services.notify.providers.mail import MailProvider
from services.notify.providers.push import PushProvider
from services.notify.providers.resend import ResendMail
from services.notify.providers.routes import MailRoute
from services.notify.providers.sendgrid import SendGridMail
from services.notify.providers.sms import SmsProvider
from services.notify.providers.smtp import SmtpMail
from services.notify.providers.twilio import TwilioSms
from services.notify.providers.web_push import WebPush
from services.notify.settings import NotifySettings

KeepingT = TypeVar("KeepingT", ResendMail, SendGridMail, TwilioSms, WebPush)


@dataclass(frozen=True)
class Providers:
    """None for a channel that is not set up: its deliveries are skipped with that reason."""

    mail: MailRoute
    sms: SmsProvider | None
    push: PushProvider | None


@cache
def providers_of(work: Resources) -> Providers:
    """The providers of this process. Used on one event loop only, and closed with its other resources."""
    settings = cast(NotifySettings, work.settings)
    return Providers(
        mail=MailRoute([_mail(name, work, settings) for name in settings.mail_providers]),
        sms=_closed_with(work, _sms(settings)) if settings.twilio_account_sid else None,
        push=_closed_with(work, _push(settings)) if settings.vapid_private_key else None,
    )


def _closed_with(work: Resources, provider: KeepingT) -> KeepingT:
    work.others.push_async_callback(provider.close)
    return provider


def _mail(name: str, work: Resources, settings: NotifySettings) -> MailProvider:
    gate = Gate("the mail provider", settings.mail_rate)
    if name == resend.NAME:
        return _closed_with(work, ResendMail(settings.resend_api_key, settings.resend_api_url, gate))
    if name == sendgrid.NAME:
        return _closed_with(work, SendGridMail(settings.sendgrid_api_key, settings.sendgrid_api_url, gate))
    assert name == smtp.NAME
    return SmtpMail(settings.smtp_url, gate)


def _sms(settings: NotifySettings) -> TwilioSms:
    return TwilioSms(
        settings.twilio_account_sid,
        settings.twilio_auth_token,
        settings.twilio_api_url,
        settings.twilio_callback_url,
        Gate("the SMS provider", settings.sms_rate),
    )


def _push(settings: NotifySettings) -> WebPush:
    gates = {service: Gate("the push service", settings.push_rate) for service in settings.push_services.split(",")}
    return WebPush(settings.vapid_private_key, settings.vapid_contact, gates)
