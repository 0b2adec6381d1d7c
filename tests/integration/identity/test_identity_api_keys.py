"""Making and revoking credentials of programs. What they are worth: test_identity_tokens."""

from powerhouse.identity.v1 import identity_service_pb2 as pb
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.identity.house import Studio, key, new_studio, reason
from tests.support.services import Running


def _new(studio: Studio, name: str = "Door") -> pb.CreateApiKeyRequest:
    wanted = pb.NewApiKey(display_name=name, role=Role.ROLE_FRONT_DESK)
    return pb.CreateApiKeyRequest(parent=studio.name, api_key=wanted, request_id=key())


async def test_the_key_is_shown_once_and_stored_nowhere(identity: Running, studio: Studio) -> None:
    owner, request = studio.as_owner(), _new(studio)
    created = await owner.CreateApiKey(request)
    assert created.secret.startswith("phk_")
    assert created.hint == created.secret[-4:]
    repeat = await owner.CreateApiKey(request)
    assert (repeat.name, repeat.secret) == (created.name, "")
    (listed,) = (await owner.ListApiKeys(pb.ListApiKeysRequest(parent=studio.name))).api_keys
    assert listed == repeat
    secret = created.secret.split("_", 2)[2]
    for table in ("api_keys", "idempotency", "audit_entries", "outbox"):
        rows = await identity.sql(f"SELECT to_jsonb(t)::text AS row FROM {table} t")
        # bytea is shown in hexadecimal
        assert not any(secret in row["row"] or secret.encode().hex() in row["row"] for row in rows)


async def test_a_key_is_revoked_once(studio: Studio) -> None:
    owner = studio.as_owner()
    created = await owner.CreateApiKey(_new(studio))
    assert not created.HasField("revoke_time")
    first = await owner.RevokeApiKey(pb.RevokeApiKeyRequest(name=created.name, request_id=key()))
    assert first.HasField("revoke_time")
    assert await owner.RevokeApiKey(pb.RevokeApiKeyRequest(name=created.name, request_id=key())) == first


async def test_keys_are_listed_newest_first(studio: Studio) -> None:
    owner = studio.as_owner()
    made = [(await owner.CreateApiKey(_new(studio, f"Key {number}"))).name for number in range(3)]
    first = await owner.ListApiKeys(pb.ListApiKeysRequest(parent=studio.name, page_size=2))
    rest = await owner.ListApiKeys(
        pb.ListApiKeysRequest(parent=studio.name, page_size=2, page_token=first.next_page_token)
    )
    assert [k.name for k in (*first.api_keys, *rest.api_keys)] == made[::-1]
    assert rest.next_page_token == ""


async def test_another_studios_key_is_out_of_reach(identity: Running, studio: Studio) -> None:
    other = await new_studio(identity)
    theirs = await other.as_owner().CreateApiKey(_new(other))
    for name, refusal in (
        (theirs.name, ("PERMISSION_DENIED", "ROLE_REQUIRED")),
        (f"{studio.name}/apiKeys/{theirs.name.rpartition('/')[2]}", ("NOT_FOUND", "NOT_FOUND")),
        (f"{studio.name}/apiKeys/{new_id()}", ("NOT_FOUND", "NOT_FOUND")),
    ):
        request = pb.RevokeApiKeyRequest(name=name, request_id=key())
        assert await reason(studio.as_owner().RevokeApiKey(request)) == refusal
    assert list((await studio.as_owner().ListApiKeys(pb.ListApiKeysRequest(parent=studio.name))).api_keys) == []


async def test_a_key_needs_a_name_and_a_staff_role(studio: Studio) -> None:
    for wanted in (
        pb.NewApiKey(display_name=" ", role=Role.ROLE_MANAGER),
        pb.NewApiKey(display_name="Door", role=Role.ROLE_CLIENT),
        pb.NewApiKey(display_name="Door"),
    ):
        request = pb.CreateApiKeyRequest(parent=studio.name, api_key=wanted, request_id=key())
        assert (await reason(studio.as_owner().CreateApiKey(request)))[0] == "INVALID_ARGUMENT"
