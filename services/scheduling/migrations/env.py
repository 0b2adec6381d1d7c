"""Run by Alembic; see services/chassis/db/alembic_env.py."""

from services.chassis.db.alembic_env import run

run()
