"""A Stripe that moves no money: the wire of the API version that the pinned SDK sends, on this machine.

`STRIPE_API_KEY=sk_test_… python -m embedded.sandboxes.stripe --port 8026 --directory var/stripe`. Each key of the list
is a merchant of its own and may hold connected accounts; its publishable key is the same with `pk_` for `sk_`.
`/sandbox/*` is the control address: faults, clock work, disputes, what each idempotency key has done.
What it does differently from Stripe is listed in docs/stripe-sandbox.md.
"""
