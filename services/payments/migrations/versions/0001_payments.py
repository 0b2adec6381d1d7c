"""Merchants, catalogue, purchases, payments, what the provider tells, and the money ledger."""

from pathlib import Path

from alembic import op

from services.chassis.db.migrations import create_chassis_tables, guard, install_function
from services.chassis.db.urls import role_name

revision = "0001"
down_revision = None

APP_ROLE = role_name("payments", "app")
SQL = Path(__file__).parents[2] / "sql"

VERSIONED = """
    version integer NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()"""
CURRENCY = "currency_code text NOT NULL CHECK (currency_code ~ '^[A-Z]{3}$')"

MERCHANTS = (
    """
    CREATE TABLE merchants (
        external_account text NOT NULL,
        studio_id uuid NOT NULL,
        events_until timestamptz,
        CONSTRAINT pk_merchants PRIMARY KEY (external_account),
        CONSTRAINT uq_merchants_studio_id UNIQUE (studio_id)
    )""",
    f"""
    CREATE TABLE merchant_accounts (
        tenant_id uuid NOT NULL,
        external_account text NOT NULL,
        {CURRENCY},
        charges_enabled boolean NOT NULL,
        payouts_enabled boolean NOT NULL,
        requirements text[] NOT NULL,
        was_active boolean NOT NULL,
        read_time timestamptz NOT NULL,
        {VERSIONED},
        CONSTRAINT pk_merchant_accounts PRIMARY KEY (tenant_id)
    )""",
)

CATALOGUE = (
    """
    CREATE TABLE tax_rates (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        display_name text NOT NULL,
        rate_ppm integer NOT NULL CHECK (rate_ppm BETWEEN 0 AND 1000000),
        inclusive boolean NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_tax_rates PRIMARY KEY (tenant_id, id)
    )""",
    f"""
    CREATE TABLE pricing_options (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        terms_version integer NOT NULL,
        archive_time timestamptz,
        {VERSIONED},
        CONSTRAINT pk_pricing_options PRIMARY KEY (tenant_id, id)
    )""",
    f"""
    CREATE TABLE pricing_option_terms (
        tenant_id uuid NOT NULL,
        pricing_option_id uuid NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        display_name text NOT NULL,
        price_minor bigint NOT NULL CHECK (price_minor >= 0),
        {CURRENCY},
        credits integer NOT NULL CHECK (credits > 0),
        valid_days integer NOT NULL CHECK (valid_days >= 0),
        starts_on_first_use boolean NOT NULL,
        class_type_ids uuid[] NOT NULL,
        tax_rate_id uuid,
        intro_offer boolean NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_pricing_option_terms PRIMARY KEY (tenant_id, pricing_option_id, version),
        FOREIGN KEY (tenant_id, pricing_option_id) REFERENCES pricing_options,
        FOREIGN KEY (tenant_id, tax_rate_id) REFERENCES tax_rates,
        CONSTRAINT ck_pricing_option_terms_first_use CHECK (NOT starts_on_first_use OR valid_days > 0)
    )""",
    f"""
    CREATE TABLE promo_codes (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        code text NOT NULL CHECK (code ~ '^[A-Z0-9-]{{3,40}}$'),
        off_ppm integer NOT NULL CHECK (off_ppm BETWEEN 0 AND 1000000),
        off_minor bigint NOT NULL CHECK (off_minor >= 0),
        max_redemptions integer NOT NULL CHECK (max_redemptions >= 0),
        max_per_client integer NOT NULL CHECK (max_per_client >= 0),
        expire_time timestamptz,
        pricing_option_ids uuid[] NOT NULL,
        redemptions integer NOT NULL CHECK (redemptions >= 0),
        archive_time timestamptz,
        {VERSIONED},
        CONSTRAINT pk_promo_codes PRIMARY KEY (tenant_id, id),
        CONSTRAINT ck_promo_codes_off CHECK ((off_ppm > 0) <> (off_minor > 0)),
        CONSTRAINT ck_promo_codes_redemptions CHECK (max_redemptions = 0 OR redemptions <= max_redemptions)
    )""",
    "CREATE UNIQUE INDEX uq_promo_codes_code ON promo_codes (tenant_id, code) WHERE archive_time IS NULL",
)

PURCHASES = (
    f"""
    CREATE TABLE purchases (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        client_id uuid NOT NULL,
        account_id uuid,
        pricing_option_id uuid NOT NULL,
        terms_version integer NOT NULL,
        promo_code_id uuid,
        intro_offer boolean NOT NULL,
        price_minor bigint NOT NULL,
        discount_minor bigint NOT NULL,
        net_minor bigint NOT NULL CHECK (net_minor >= 0),
        tax_minor bigint NOT NULL CHECK (tax_minor >= 0),
        total_minor bigint NOT NULL,
        {CURRENCY},
        state text NOT NULL CHECK (state IN ('OPEN', 'PAID', 'FULFILLED', 'CANCELLED')),
        client_package_id uuid,
        {VERSIONED},
        CONSTRAINT pk_purchases PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, pricing_option_id, terms_version) REFERENCES pricing_option_terms,
        FOREIGN KEY (tenant_id, promo_code_id) REFERENCES promo_codes,
        CONSTRAINT ck_purchases_discount CHECK (discount_minor BETWEEN 0 AND price_minor),
        CONSTRAINT ck_purchases_total CHECK (total_minor = net_minor + tax_minor),
        CONSTRAINT ck_purchases_fulfilled CHECK ((state = 'FULFILLED') = (client_package_id IS NOT NULL))
    )""",
    "CREATE INDEX ix_purchases_client_id ON purchases (tenant_id, client_id)",
    "CREATE INDEX ix_purchases_account_id ON purchases (tenant_id, account_id)",
    "CREATE UNIQUE INDEX uq_purchases_intro_offer ON purchases (tenant_id, client_id)"
    " WHERE intro_offer AND state <> 'CANCELLED'",
    f"""
    CREATE TABLE payments (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        purchase_id uuid NOT NULL,
        external_account text NOT NULL,
        external_id text,
        intent_key uuid NOT NULL,
        intent_key_time timestamptz NOT NULL,
        amount_minor bigint NOT NULL CHECK (amount_minor > 0),
        {CURRENCY},
        state text NOT NULL CHECK (state IN ('OPEN', 'SUCCEEDED', 'CANCELLED')),
        charge_id text,
        succeed_time timestamptz,
        refunding_minor bigint NOT NULL,
        refunded_minor bigint NOT NULL,
        {VERSIONED},
        CONSTRAINT pk_payments PRIMARY KEY (tenant_id, id),
        CONSTRAINT uq_payments_purchase_id UNIQUE (tenant_id, purchase_id),
        CONSTRAINT uq_payments_external_id UNIQUE (external_account, external_id),
        FOREIGN KEY (tenant_id, purchase_id) REFERENCES purchases,
        CONSTRAINT ck_payments_succeeded CHECK ((state = 'SUCCEEDED') = (succeed_time IS NOT NULL)),
        CONSTRAINT ck_payments_refunds CHECK (refunded_minor >= 0 AND refunded_minor <= refunding_minor
            AND refunding_minor <= CASE state WHEN 'SUCCEEDED' THEN amount_minor ELSE 0 END)
    )""",
    "CREATE INDEX ix_payments_charge_id ON payments (tenant_id, charge_id) WHERE charge_id IS NOT NULL",
    """
    CREATE TABLE payment_attempts (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        payment_id uuid NOT NULL,
        external_id text NOT NULL,
        succeeded boolean NOT NULL,
        code text NOT NULL,
        decline_code text NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_payment_attempts PRIMARY KEY (tenant_id, id),
        CONSTRAINT uq_payment_attempts_external_id UNIQUE (tenant_id, payment_id, external_id),
        FOREIGN KEY (tenant_id, payment_id) REFERENCES payments
    )""",
    f"""
    CREATE TABLE refunds (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        purchase_id uuid NOT NULL,
        payment_id uuid NOT NULL,
        amount_minor bigint NOT NULL CHECK (amount_minor > 0),
        {CURRENCY},
        tax_minor bigint NOT NULL CHECK (tax_minor BETWEEN 0 AND amount_minor),
        deferred_minor bigint NOT NULL CHECK (deferred_minor >= 0),
        credits integer NOT NULL CHECK (credits >= 0),
        reason text NOT NULL,
        state text NOT NULL CHECK (state IN ('REQUESTED', 'FROZEN', 'PENDING', 'SUCCEEDED', 'FAILED')),
        external_id text,
        send_time timestamptz,
        failure text NOT NULL CHECK ((failure <> '') = (state = 'FAILED')),
        {VERSIONED},
        CONSTRAINT pk_refunds PRIMARY KEY (tenant_id, id),
        CONSTRAINT uq_refunds_external_id UNIQUE (tenant_id, external_id),
        FOREIGN KEY (tenant_id, payment_id) REFERENCES payments
    )""",
    "CREATE INDEX ix_refunds_purchase_id ON refunds (tenant_id, purchase_id)",
    """
    CREATE TABLE package_credits (
        tenant_id uuid NOT NULL,
        client_package_id uuid NOT NULL,
        credits_left integer NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_package_credits PRIMARY KEY (tenant_id, client_package_id)
    )""",
    "CREATE UNIQUE INDEX uq_purchases_client_package_id ON purchases (tenant_id, client_package_id)"
    " WHERE client_package_id IS NOT NULL",
    f"""
    CREATE TABLE disputes (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        external_id text NOT NULL,
        purchase_id uuid,
        amount_minor bigint NOT NULL,
        {CURRENCY},
        status text NOT NULL,
        reason text NOT NULL,
        due_time timestamptz,
        read_time timestamptz NOT NULL,
        {VERSIONED},
        CONSTRAINT pk_disputes PRIMARY KEY (tenant_id, id)
    )""",
    f"""
    CREATE TABLE payouts (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        external_id text NOT NULL,
        amount_minor bigint NOT NULL,
        {CURRENCY},
        status text NOT NULL,
        arrival_time timestamptz NOT NULL,
        read_time timestamptz NOT NULL,
        {VERSIONED},
        CONSTRAINT pk_payouts PRIMARY KEY (tenant_id, id)
    )""",
    f"""
    CREATE TABLE balance_transactions (
        tenant_id uuid NOT NULL,
        external_id text NOT NULL,
        category text NOT NULL,
        source text NOT NULL,
        amount_minor bigint NOT NULL,
        fee_minor bigint NOT NULL,
        {CURRENCY},
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_balance_transactions PRIMARY KEY (tenant_id, external_id)
    )""",
    "CREATE INDEX ix_balance_transactions_create_time ON balance_transactions (tenant_id, create_time)",
    "CREATE INDEX ix_balance_transactions_source ON balance_transactions (tenant_id, source)",
    f"""
    CREATE TABLE reconciliations (
        tenant_id uuid NOT NULL,
        {CURRENCY},
        provider_minor bigint NOT NULL,
        ledger_minor bigint NOT NULL,
        under_way_minor bigint NOT NULL,
        differences jsonb NOT NULL,
        transaction_count integer NOT NULL,
        events_found integer NOT NULL,
        run_time timestamptz NOT NULL,
        CONSTRAINT pk_reconciliations PRIMARY KEY (tenant_id)
    )""",
    """
    CREATE TABLE provider_events (
        provider text NOT NULL,
        external_account text NOT NULL,
        external_id text NOT NULL,
        type text NOT NULL,
        payload jsonb NOT NULL,
        source text NOT NULL CHECK (source IN ('WEBHOOK', 'LISTED')),
        receive_time timestamptz NOT NULL,
        apply_time timestamptz,
        CONSTRAINT pk_provider_events PRIMARY KEY (provider, external_account, external_id)
    )""",
    "CREATE INDEX ix_provider_events_receive_time ON provider_events (receive_time)",
)

LEDGER = (
    f"""
    CREATE TABLE ledger_accounts (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN (
            'provider', 'bank', 'deferred', 'revenue', 'tax', 'provider_fees', 'refunds', 'disputes')),
        {CURRENCY},
        subject_id uuid,
        balance_minor bigint NOT NULL DEFAULT 0,
        CONSTRAINT pk_ledger_accounts PRIMARY KEY (tenant_id, id),
        CONSTRAINT uq_ledger_accounts_currency UNIQUE (tenant_id, id, currency_code),
        CONSTRAINT ck_ledger_accounts_subject CHECK ((kind = 'deferred') = (subject_id IS NOT NULL)),
        CONSTRAINT ck_ledger_accounts_balance CHECK (balance_minor >= 0)
    )""",
    # Both accounts are of the transfer's currency.
    f"""
    CREATE TABLE transfers (
        tenant_id uuid NOT NULL,
        id bigint GENERATED ALWAYS AS IDENTITY,
        debit_account uuid NOT NULL,
        credit_account uuid NOT NULL CHECK (credit_account <> debit_account),
        amount_minor bigint NOT NULL CHECK (amount_minor > 0),
        {CURRENCY},
        source text NOT NULL,
        cause text NOT NULL,
        create_time timestamptz NOT NULL,
        CONSTRAINT pk_transfers PRIMARY KEY (tenant_id, id),
        CONSTRAINT uq_transfers_source UNIQUE (tenant_id, source, cause),
        FOREIGN KEY (tenant_id, debit_account, currency_code)
            REFERENCES ledger_accounts (tenant_id, id, currency_code),
        FOREIGN KEY (tenant_id, credit_account, currency_code)
            REFERENCES ledger_accounts (tenant_id, id, currency_code)
    )""",
    "CREATE INDEX ix_transfers_debit_account ON transfers (tenant_id, debit_account)",
    "CREATE INDEX ix_transfers_credit_account ON transfers (tenant_id, credit_account)",
)


def upgrade() -> None:
    create_chassis_tables(APP_ROLE)
    for statement in (*MERCHANTS, *CATALOGUE, *PURCHASES, *LEDGER):
        op.execute(statement)
    for name in ("keep_transfers", "move_money", "guard_purchase", "guard_payment", "guard_refund"):
        install_function(SQL / f"{name}_v1.sql")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON merchants TO {APP_ROLE}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON provider_events TO {APP_ROLE}")
    for table in ("merchant_accounts", "pricing_options", "promo_codes", "purchases", "payments", "refunds"):
        guard(table, APP_ROLE)
    for table in ("package_credits", "disputes", "payouts", "reconciliations"):
        guard(table, APP_ROLE)
    guard("balance_transactions", APP_ROLE, privileges="SELECT, INSERT")
    for table in ("tax_rates", "pricing_option_terms", "payment_attempts", "ledger_accounts", "transfers"):
        guard(table, APP_ROLE, privileges="SELECT, INSERT")
