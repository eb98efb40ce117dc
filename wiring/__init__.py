"""The one place where the platform's objects are made from its settings; every process asks here."""
