"""Version 1 of the API: its routes, its schemas, and how values are shown in it. Later versions have its routes, and
say what is other in them; nothing else in `api` knows it but the app and the contract's page."""
