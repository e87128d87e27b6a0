"""The books on disk: SQLite by default, PostgreSQL by its URL. SQLAlchemy Core; no ORM near money."""
