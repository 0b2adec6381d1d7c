"""Who calls: an account with its roles, a service of the mesh, or nobody."""

from dataclasses import dataclass, field
from uuid import UUID

from powerhouse.policy.v1.policy_pb2 import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """The originating subject of a call. Services decide by it, never by the service that forwarded it."""

    account_id: UUID | None = None
    # API keys act for a studio, not for a person.
    api_key_id: UUID | None = None
    session_id: UUID | None = None
    # studio id -> roles held there
    roles: dict[UUID, frozenset[int]] = field(default_factory=dict)
    # Name from the client certificate, when the call carries no token.
    service: str | None = None

    @property
    def name(self) -> str:
        """How audit and idempotency keys name it: `accounts/…`, `apiKeys/…`, a service's name, or `anonymous`."""
        if self.account_id:
            return f"accounts/{self.account_id}"
        if self.api_key_id:
            return f"apiKeys/{self.api_key_id}"
        return self.service or "anonymous"

    @property
    def signed_in(self) -> bool:
        return self.account_id is not None or self.api_key_id is not None

    def roles_in(self, tenant: UUID) -> frozenset[int]:
        """Roles in one studio. Every account may act as a client; the client's rows say for whom."""
        held = self.roles.get(tenant, frozenset())
        return held | {Role.ROLE_CLIENT} if self.account_id else held


ANONYMOUS = Principal()
