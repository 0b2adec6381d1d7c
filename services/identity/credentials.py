"""What surrounds the transactions that take a password: throttling that outlives a refusal, and hashing that holds no
connection. Each method prepares a write; the write itself is in accounts, sessions and password_resets.
"""

from dataclasses import dataclass
from uuid import UUID

from services.chassis.db.database import Database
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import Unauthenticated
from services.identity import accounts, password_resets, sessions, throttle
from services.identity.links import LinkExpired, Links
from services.identity.models import Account, Session
from services.identity.passwords import Passwords, check_strength
from services.identity.throttle import Subject, Throttle


@dataclass(frozen=True)
class NewAccount:
    """An account that may be created, unless its address is taken."""

    email: str
    display_name: str
    password_hash: str
    attempt: UUID


@dataclass(frozen=True)
class ProvenAccount:
    """An account whose password was given."""

    account_id: UUID
    # The hash that was verified, and the one to replace it when its parameters are of yesterday.
    verified_hash: str
    fresh_hash: str | None
    attempt: UUID
    subject: Subject


@dataclass(frozen=True)
class NewPassword:
    """A password that a reset may set."""

    reset_id: UUID
    password_hash: str


class Credentials:
    """Signing up, signing in, resetting a password."""

    def __init__(self, database: Database, passwords: Passwords, limits: Throttle, links: Links) -> None:
        self._database, self._passwords, self._limits, self._links = database, passwords, limits, links

    async def new_account(self, email: str, display_name: str, password: str, client_address: str) -> NewAccount:
        """Raises InvalidArgument (INVALID_EMAIL, WEAK_PASSWORD), ResourceExhausted (TOO_MANY_ATTEMPTS)."""
        address, name = accounts.normalised(email), accounts.label(display_name, "display_name")
        check_strength(password, address, "password")
        attempt = await self._begin(self._limits.client(client_address))
        return NewAccount(address, name, await self._passwords.hash(password), attempt)

    async def proven_account(self, email: str, password: str, client_address: str) -> ProvenAccount:
        """Raises Unauthenticated (WRONG_CREDENTIALS), with the same work for unknown addresses as for wrong passwords;
        ResourceExhausted (TOO_MANY_ATTEMPTS), InvalidArgument (INVALID_EMAIL).
        """
        address = accounts.normalised(email)
        subject = self._limits.account("sign-in", address)
        attempt = await self._begin(subject, self._limits.client(client_address))
        async with self._database.transaction() as tx:
            account = await accounts.find(tx, address)
        if not await self._passwords.verify(account.password_hash if account else None, password) or account is None:
            raise _wrong_credentials()
        outdated = self._passwords.is_outdated(account.password_hash)
        fresh = await self._passwords.hash(password) if outdated else None
        return ProvenAccount(account.id, account.password_hash, fresh, attempt, subject)

    async def allow_reset_request(self, email: str, client_address: str) -> str:
        """The normalised address. Raises ResourceExhausted (TOO_MANY_ATTEMPTS), InvalidArgument (INVALID_EMAIL)."""
        address = accounts.normalised(email)
        await self._begin(self._limits.account("reset", address), self._limits.client(client_address))
        return address

    async def new_password(self, token: str, password: str) -> NewPassword:
        """Raises FailedPrecondition (LINK_EXPIRED), InvalidArgument (WEAK_PASSWORD)."""
        reset_id = self._links.read("password-reset", token)
        if reset_id is None:
            raise LinkExpired
        async with self._database.transaction() as tx:
            account, _ = await password_resets.account_of(tx, reset_id)
        check_strength(password, account.email, "new_password")
        return NewPassword(reset_id, await self._passwords.hash(password))

    async def sign_up(self, tx: UnitOfWork, new: NewAccount) -> tuple[Account, Session, str]:
        """Account, session and its token. Raises AlreadyExists (EMAIL_TAKEN), which counts as a failure: it reveals."""
        account = await accounts.create(tx, new.email, new.display_name, new.password_hash)
        await throttle.succeed(tx, new.attempt)
        token, session = await sessions.begin(tx, account.id)
        return account, session, token

    async def sign_in(self, tx: UnitOfWork, proven: ProvenAccount) -> tuple[Account, Session, str]:
        """Account, session and its token. Raises Unauthenticated when the password was changed since it was proven."""
        account = await accounts.get(tx, proven.account_id, lock=True)
        if account.password_hash != proven.verified_hash:
            raise _wrong_credentials()
        if proven.fresh_hash:
            accounts.set_password(account, proven.fresh_hash)
        await throttle.succeed(tx, proven.attempt, proven.subject)
        token, session = await sessions.begin(tx, account.id)
        return account, session, token

    async def reset_password(self, tx: UnitOfWork, new: NewPassword) -> Account:
        """The owner of the address may try again at once. Raises FailedPrecondition (LINK_EXPIRED)."""
        account = await password_resets.use(tx, new.reset_id, new.password_hash)
        await throttle.forgive(tx, self._limits.account("sign-in", account.email))
        return account

    async def _begin(self, *subjects: Subject) -> UUID:
        async with self._database.transaction() as tx:
            return await throttle.begin(tx, *subjects)


def _wrong_credentials() -> Unauthenticated:
    return Unauthenticated("address or password is wrong", reason="WRONG_CREDENTIALS")
