"""What reads a client's file: each a program, which `inference.guarded` runs in a process of its own.

Nothing else imports them, and they import no more than they need: they are started for every page.
"""
