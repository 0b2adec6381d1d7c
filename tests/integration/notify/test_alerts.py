"""Those who run a studio read of what could not be delivered: once, many in one mail."""

from uuid import UUID

from powerhouse.identity.v1 import identity_service_pb2 as identity_pb
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.notify import alerts
from tests.integration.notify.house import Post, new_email


async def owner_of(post: Post) -> str:
    """The address of an owner of the studio."""
    email = new_email()
    public = post.identity.anonymous(IdentityServiceStub)
    await public.SignUp(
        identity_pb.SignUpRequest(email=email, password="long enough to pass", display_name="Olga Otter")
    )
    await post.identity.sql(
        "INSERT INTO role_bindings (tenant_id, id, account_id, role, create_time)"
        " SELECT $1, $2, id, $3, now() FROM accounts WHERE email = $4",
        post.studio,
        new_id(),
        Role.ROLE_OWNER,
        email,
    )
    return email


async def spoil(post: Post, invitation: UUID) -> None:
    """Its address is one that the provider refuses."""
    await post.identity.sql("UPDATE invitations SET email = id || '@nowhere' WHERE id = $1", invitation)


async def tick(post: Post) -> None:
    await alerts.tell_all(post.notify.resources, post.notify.mesh.clock.now())
    await post.work_off()


async def test_what_failed_is_told_once_and_together(post: Post) -> None:
    owner = await owner_of(post)
    for _ in range(2):
        invitation, _ = await post.invite()
        await spoil(post, invitation)
        assert (await post.send(post.identity, invitation))["state"] == "failed"
    await post.invite()
    await tick(post)
    await tick(post)
    [mail] = await post.mails(owner)
    assert mail["subject"] == "2 messages could not be delivered"
    assert "the mail provider answered 422 validation_error (2)" in mail["text"]
    assert "Olga Otter" in mail["text"]


async def test_an_alert_that_fails_is_told_to_nobody(post: Post) -> None:
    owner = await owner_of(post)
    await post.identity.sql("UPDATE accounts SET email = id || '@nowhere' WHERE email = $1", owner)
    invitation, _ = await post.invite()
    await spoil(post, invitation)
    await post.send(post.identity, invitation)
    for _ in range(3):
        await tick(post)
    rows = await post.notify.sql(
        "SELECT * FROM deliveries WHERE tenant_id = $1 AND kind = 'delivery_alert'", post.studio
    )
    assert [(row["state"], row["alert_time"] is not None) for row in rows] == [("failed", True)]


async def test_who_does_not_run_the_studio_any_more_is_not_told(post: Post) -> None:
    owner = await owner_of(post)
    invitation, _ = await post.invite()
    await spoil(post, invitation)
    await post.send(post.identity, invitation)
    await alerts.tell_all(post.notify.resources, post.notify.mesh.clock.now())
    await post.identity.sql("DELETE FROM role_bindings WHERE tenant_id = $1", post.studio)
    await post.work_off()
    assert not await post.mails(owner)
