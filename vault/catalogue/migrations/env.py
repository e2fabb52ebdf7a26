"""Runs the migrations on the catalogue whose URL `vault.catalogue.migration.migrate` names, in one
transaction with the durable settings.
"""

from alembic import context

from vault.catalogue.database import Catalogue
from vault.catalogue.tables import tables

with Catalogue(context.config.attributes["catalogue"]).writing() as connection:
    context.configure(connection=connection, target_metadata=tables, transactional_ddl=True)
    context.run_migrations()
