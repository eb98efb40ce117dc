"""Hosts and ports as addresses name them."""

from __future__ import annotations

import pytest

from core import hosts


def test_what_needs_no_look_up_is_an_address_or_this_machines_own_name() -> None:
    told = {"127.0.0.1": True, "8.8.8.8": True, "::1": True, "localhost": True, "localhost.": False, "a.example": False,
            "127.1": False, "": False}  # fmt: skip
    assert {host: hosts.is_number(host) for host in told} == told


def test_this_machine_is_known_by_name_and_number() -> None:
    told = {"127.0.0.1": True, "127.9.9.9": True, "[::1]": True, "::1": True, "LOCALHOST": True, "a.Localhost": True,
            "8.8.8.8": False, "[2a00::1]": False, "localhost.example": False, "xlocalhost": False,
            "": False}  # fmt: skip
    assert {host: hosts.on_this_machine(host) for host in told} == told


def test_a_url_names_its_port_or_has_its_schemes() -> None:
    told = {"http://h": ("h", 80), "https://h/x": ("h", 443), "http://h:9": ("h", 9), "https://[::1]:7/": ("::1", 7)}
    assert {url: hosts.of_url(url) for url in told} == told
    for wrong in ("http://h:x", "http://h:70000"):
        with pytest.raises(ValueError, match=r"[Pp]ort"):
            hosts.of_url(wrong)
    with pytest.raises(KeyError):
        hosts.of_url("ftp://h")


def test_a_redis_is_on_6379_where_nothing_else_is_said_and_behind_a_socket_on_none() -> None:
    told = {
        "redis://h": [("h", 6379)],
        "rediss://u:p@h:7/0": [("h", 7)],
        "unix:///run/redis.sock": [],
        "redis:///0": [],
    }
    assert {url: list(hosts.of_redis(url)) for url in told} == told


def test_a_database_is_on_all_the_hosts_that_its_address_lists() -> None:
    told = {
        "postgresql://h/d": [("h", 5432)],
        "postgresql://u:p@h:7/d": [("h", 7)],
        "postgresql:///d?host=/run/postgresql": [],
        "postgresql:///d?host=a&port=1": [("a", 1)],
        "postgresql:///d?host=a,b&port=1,2": [("a", 1), ("a", 2), ("b", 1), ("b", 2)],
        "postgresql:///d?host=a:1&host=b:2": [("a", 1), ("b", 2)],
        "postgresql://h:7/d?hostaddr=10.0.0.1,::1": [("h", 7), ("10.0.0.1", 7), ("::1", 7)],
    }
    assert {url: list(hosts.of_database(url)) for url in told} == told
