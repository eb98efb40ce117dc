from __future__ import annotations

from tests.mutation import sql


def changed(text: str) -> set[str]:
    return {text[: item.start] + item.new + text[item.end :] for item in sql.changes(text)}


def test_each_part_of_a_condition_is_left_out_once_and_its_parameters_stay_in_use() -> None:
    found = changed("DELETE FROM jobs WHERE id = :id AND tenant_id = ANY (:tenants)")
    assert found == {
        "DELETE FROM jobs WHERE (true OR (id = :id)) AND tenant_id = ANY (:tenants)",
        "DELETE FROM jobs WHERE id = :id AND (true OR (tenant_id = ANY (:tenants)))",
    }


def test_of_an_or_each_side_is_left_out() -> None:
    assert "SELECT a FROM b WHERE (c OR (false AND (d)))" in changed("SELECT a FROM b WHERE (c OR d)")


def test_the_and_of_a_between_is_part_of_it() -> None:
    found = changed("SELECT a FROM b WHERE c BETWEEN :d AND :e AND f")
    assert found == {
        "SELECT a FROM b WHERE (true OR (c BETWEEN :d AND :e)) AND f",
        "SELECT a FROM b WHERE c BETWEEN :d AND :e AND (true OR (f))",
    }


def test_the_condition_of_a_join_is_left_out_and_the_table_of_a_trigger_is_no_condition() -> None:
    assert "SELECT a FROM b JOIN c ON (true OR (b.d = c.d))" in changed("SELECT a FROM b JOIN c ON b.d = c.d")
    assert changed("CREATE TRIGGER a AFTER UPDATE OF b ON jobs FOR EACH ROW EXECUTE FUNCTION f()") == set()


def test_what_is_true_anyway_is_no_condition() -> None:
    assert changed("SELECT a FROM b LEFT JOIN LATERAL (c) AS d ON true") == set()


def test_a_limit_is_one_row_further_counts_one_more_or_is_gone() -> None:
    found = changed("SELECT a FROM b WHERE n <= :most ORDER BY a LIMIT 1 FOR UPDATE SKIP LOCKED")
    rest = "ORDER BY a LIMIT 1 FOR UPDATE"
    assert found == {
        f"SELECT a FROM b WHERE (true OR (n <= :most)) {rest} SKIP LOCKED",
        f"SELECT a FROM b WHERE n < :most {rest} SKIP LOCKED",
        "SELECT a FROM b WHERE n <= :most ORDER BY a DESC LIMIT 1 FOR UPDATE SKIP LOCKED",
        "SELECT a FROM b WHERE n <= :most ORDER BY a LIMIT 2 FOR UPDATE SKIP LOCKED",
        "SELECT a FROM b WHERE n <= :most ORDER BY a  FOR UPDATE SKIP LOCKED",
        "SELECT a FROM b WHERE n <= :most ORDER BY a LIMIT 1 ",
        f"SELECT a FROM b WHERE n <= :most {rest} ",
    }


def test_what_is_in_no_order_has_none_to_turn_round() -> None:
    assert changed("SELECT a FROM b ORDER BY random()") == set()
    assert changed("SELECT a FROM b ORDER BY random(), c") == {"SELECT a FROM b ORDER BY random(), c DESC"}


def test_each_column_of_several_that_are_set_is_left_as_it_was() -> None:
    found = changed("UPDATE a SET b = coalesce(b, now()), c = NULL, d = :d RETURNING id")
    assert found == {
        "UPDATE a SET c = NULL, d = :d RETURNING id",
        "UPDATE a SET b = coalesce(b, now()), d = :d RETURNING id",
        "UPDATE a SET b = coalesce(b, now()), c = NULL RETURNING id",
    }


def test_moments_are_never_the_same_so_that_none_is_compared_otherwise() -> None:
    assert changed("SELECT a FROM b WHERE expires_at < now()") == {
        "SELECT a FROM b WHERE (true OR (expires_at < now()))",
    }
