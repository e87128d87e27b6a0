"""Reading a log that its server still writes to."""

from e2e.testbed.cluster.audit import read_events


def test_a_half_written_line_is_left_for_the_next_reading(tmp_path):
    log = tmp_path / "audit.log"
    log.write_text('{"verb": "create"}\n{"verb": "del')
    assert [event["verb"] for event in read_events(log)] == ["create"]

    with log.open("a") as written:
        written.write('ete"}\n')
    assert [event["verb"] for event in read_events(log)] == ["create", "delete"]
