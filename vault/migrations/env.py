"""Runs the migrations on the catalogue that `vault.migration.migrate` names, in one transaction with the durable settings."""

from alembic import context

from vault.catalogue import Catalogue, tables

with Catalogue(context.config.attributes["catalogue"]).writing() as connection:
    context.configure(connection=connection, target_metadata=tables, transactional_ddl=True)
    context.run_migrations()
