"""A log that grows, is cut off anywhere, and never contradicts itself."""

from __future__ import annotations

import tracemalloc

import pytest

from hansa.errors import NotFound, Retryable, Terminal
from hansa.translog.checkpoint import Checkpoint
from hansa.translog.judgement import judge, signed_checkpoint
from hansa.translog.log.appender import HEAD, MOST_PENDING, WITNESSED
from hansa.translog.log.reader import LogReader
from hansa.translog.merkle import check_consistency, leaf_hash
from hansa.translog.note import Note
from hansa.translog.tiles import partial_tiles
from tests.unit.translog.small_log import (
    NAMES,
    ORIGIN,
    MemoryIndex,
    MemoryStore,
    PowerCut,
    SetClock,
    appender,
    ed25519,
    entries,
    log_signer,
    ml_dsa,
    policy,
    published,
)

CLOCK = SetClock()


def head(log):
    return Checkpoint.parse(log.head.text)


def stored(store):
    """Return the published checkpoint after a stranger read the whole log below it."""
    note = Note.parse(store.files[HEAD])
    found = Checkpoint.parse(note.text)
    reader = LogReader(store.read)
    leaves = [each for _, some in reader.leaves(0, found.size) for each in some]
    kept = list(reader.entries(0, found.size))
    assert [leaf_hash(entry) for entry in kept] == leaves
    again = appender(MemoryStore(), MemoryIndex())
    again.append(kept)
    assert head_of(again.checkpoint(CLOCK)) == found
    return found, kept


def head_of(note):
    return Checkpoint.parse(note.text)


def test_an_entry_keeps_its_index():
    log = appender()
    assert log.append([b"a", b"b", b"a"]) == [0, 1, 0]
    assert log.append([b"b", b"c"]) == [1, 2]
    log.checkpoint(CLOCK)
    assert log.append([b"c", b"d", b"a"]) == [2, 3, 0]
    assert head_of(log.checkpoint(CLOCK)).size == 4


def test_an_empty_log_has_a_checkpoint_too():
    store = MemoryStore()
    assert head_of(appender(store).checkpoint(CLOCK)).size == 0
    assert stored(store)[1] == []


def test_a_log_is_taken_up_where_it_stood():
    store, index = MemoryStore(), MemoryIndex()
    for begin, end in ((0, 3), (3, 255), (255, 256), (256, 257), (257, 800)):
        log = appender(store, index)
        assert log.append(entries(begin, end)) == list(range(begin, end))
        log.checkpoint(CLOCK)
        assert stored(store)[0].size == end
    assert appender(store, index).append(entries(0, 800)) == list(range(800))


def test_nothing_new_is_no_new_checkpoint():
    log = published(10)
    before = log.head
    assert log.checkpoint(SetClock(CLOCK.at + 60)) == before


STEPS = [(0, 250), (200, 300), (300, 520), (519, 600)]


def run(store, index, lost=0):
    for begin, end in STEPS:
        log = appender(store, index)
        places = log.append(entries(begin, end))
        log.checkpoint(CLOCK)
        assert places == list(range(begin, end)) or lost


def test_a_cut_at_any_write_leaves_an_older_log_whole():
    """And what was lost is appended again, without a contradiction to what was published."""
    whole = MemoryStore()
    run(whole, MemoryIndex())
    for cut in range(len(whole.writes) + 1):
        store, index = MemoryStore(fails_after=cut), MemoryIndex()
        try:
            run(store, index)
        except PowerCut:
            pass
        else:
            assert cut == len(whole.writes)
        store.fails_after = None
        before = stored(store)[0] if HEAD in store.files else None
        run(store, index)
        after, kept = stored(store)
        assert kept == entries(0, 600)
        if before is not None:
            proof = LogReader(store.read).consistency(before.size, after.size)
            check_consistency((before.size, before.root), (after.size, after.root), proof)


def test_a_cut_between_checkpoint_and_index_is_made_good():
    store, index = MemoryStore(), MemoryIndex()
    for size in (100, 300, 1000):
        log = appender(store, index)
        log.append(entries(0, size))
        log.checkpoint(CLOCK)
        index.leaves = {each: at for each, at in index.leaves.items() if at < size - 90}
    assert appender(store, index).append(entries(0, 1000)) == list(range(1000))


def test_a_disk_that_is_full_for_a_while_costs_nothing():
    store = MemoryStore()
    log = appender(store)
    log.append(entries(0, 200))
    log.checkpoint(CLOCK)
    sound = store.write

    def full(path, _):
        raise Retryable(f"no room for {path}")

    store.write = full
    for call in (lambda: log.append(entries(200, 700)), lambda: log.checkpoint(CLOCK)):
        with pytest.raises(Retryable):
            call()
    store.write = sound
    assert log.append(entries(200, 700)) == list(range(200, 700))
    log.checkpoint(CLOCK)
    assert stored(store)[1] == entries(0, 700)


def test_an_index_that_fails_after_publishing_is_told_later():
    store, index = MemoryStore(), MemoryIndex()
    log = appender(store, index)
    log.append(entries(0, 5))
    sound = index.add

    def broken(*_):
        raise Retryable("the database is away")

    index.add = broken
    with pytest.raises(Retryable):
        log.checkpoint(CLOCK)
    assert stored(store)[0].size == 5
    index.add = sound
    assert log.append(entries(0, 6)) == list(range(6))
    assert index.size() == 5


def test_files_from_a_backup_are_noticed():
    store, index = MemoryStore(), MemoryIndex()
    log = appender(store, index)
    log.append(entries(0, 10))
    log.checkpoint(CLOCK)
    backup = dict(store.files)
    log.append(entries(10, 20))
    log.checkpoint(CLOCK)
    with pytest.raises(
        Terminal, match="20 leaves were published, the checkpoint has 10"
    ) as refusal:
        appender(MemoryStore(backup), index)
    assert refusal.value.reason == "TurnedBack"
    with pytest.raises(Terminal, match="0"):
        appender(MemoryStore(), index)


def test_a_witness_that_knows_more_shows_it_too():
    with pytest.raises(Terminal, match="a witness knows 11 leaves, this log 10"):
        published(10).request(11)


DAMAGE = {
    "another hash": lambda files: files.update({"tile/0/000.p/10": b"\0" * 320}),
    "a cut tile": lambda files: files.update({"tile/0/000.p/10": b"\0" * 31}),
    "no tile": lambda files: files.pop("tile/0/000.p/10"),
    "no bundle": lambda files: files.pop("tile/entries/000.p/10"),
    "another root": lambda files: files.update(
        {HEAD: files[HEAD].replace(b"\n10\n", b"\n10\n", 1).replace(b"A", b"B", 1)}
    ),
    "no checkpoint in it": lambda files: files.update({HEAD: b""}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_noticed(damage):
    store = published(10)._store
    DAMAGE[damage](store.files)
    with pytest.raises(Terminal):
        appender(store)


def test_a_log_whose_policy_is_another_s_does_not_begin():
    with pytest.raises(Terminal, match="does not name the log"):
        appender(rules=policy(log=log_signer(seed=3)))


def test_too_much_that_waits_is_refused_whole():
    log = appender()
    log.append(entries(0, MOST_PENDING))
    with pytest.raises(Retryable, match="publish first"):
        log.append([b"one more"])
    log.checkpoint(CLOCK)
    assert log.append([b"one more"]) == [MOST_PENDING]


def test_one_entry_that_is_too_long_keeps_all_out():
    log = appender()
    with pytest.raises(Terminal, match="70000 bytes"):
        log.append([b"good", b"x" * 70_000])
    assert log.append([b"good"]) == [0]


def test_old_partial_files_are_removed_and_old_proofs_still_read():
    store, index = MemoryStore(), MemoryIndex()
    log = appender(store, index)
    for end in range(10, 600, 10):
        log.append(entries(0, end))
        log.checkpoint(CLOCK)
    left = sorted(path for path in store.files if ".p/" in path)
    assert not [path for path in left if "000.p" in path and "tile/1" not in path]
    assert {tile.path for tile in partial_tiles(590)} <= set(left)
    reader = LogReader(store.read)
    for old in range(10, 590, 10):
        assert len(list(reader.entries(0, old))) == old
        assert reader.consistency(old, 590)


def test_cosignatures_come_in_one_by_one():
    log = appender()
    log.append(entries(0, 5))
    note = log.checkpoint(CLOCK)
    lines = {name: f"{ed25519(name).sign(note.text, 1_700_000_000)}\n" for name in NAMES}
    assert log.cosign(lines["tartu"]).missing
    with pytest.raises(Retryable, match="entry 4 is logged; its checkpoint is not cosigned yet"):
        log.prove(b"receipt 4")
    assert log.cosign(lines["lyon"]).missing
    assert log.cosign(lines["vilnius"]).missing == ()
    log.prove(b"receipt 4").verify(b"receipt 4", policy())
    with pytest.raises(NotFound):
        log.prove(b"receipt 5")


def test_a_newer_line_replaces_an_older_one():
    log = published(5)
    for second in range(20):
        log.cosign(f"{ed25519('tartu').sign(log.head.text, 1_700_000_100 + second)}\n")
    assert len(log.head.signatures) == 4


REFUSED_LINES = {
    "over another checkpoint": lambda log: ed25519("tartu").sign(
        log.head.text.replace("5", "6"), 9
    ),
    "of nobody": lambda _: "",
    "no line": lambda _: "— tartu ****",
}


@pytest.mark.parametrize("case", REFUSED_LINES)
def test_a_false_line_is_not_published(case):
    log = published(5)
    before = log.head
    with pytest.raises(Terminal):
        log.cosign(f"{REFUSED_LINES[case](log)}\n")
    assert log.head == before
    assert log.cosign(f"{ed25519('bremen').sign(before.text, 9)}\n").missing == ()
    assert log.head == before


def test_proofs_are_for_the_newest_witnessed_checkpoint():
    log = published(5)
    log.append(entries(5, 9))
    log.checkpoint(CLOCK)
    assert head(log).size == 9
    assert log.prove(b"receipt 2").verify(b"receipt 2", policy()).checkpoint.size == 5
    assert Checkpoint.parse(Note.parse(log._store.files[WITNESSED]).text).size == 5


def test_a_growing_log_keeps_its_edge_alone_in_memory():
    """Between 10,000 and 40,000 leaves the memory in use grows by nothing that counts."""

    class Sink(MemoryStore):
        def write(self, path, body):
            if ".p/" in path or path == HEAD or path.startswith("tile/1"):
                super().write(path, body)

    class Amnesia(MemoryIndex):
        def add(self, first, hashes):
            pass

    log = appender(Sink(), Amnesia(), rules=policy("quorum none"))
    sizes = []
    tracemalloc.start()
    for begin in range(0, 40_000, 2_000):
        log.append(entries(begin, begin + 2_000))
        log.checkpoint(CLOCK)
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[-1] - sizes[4] < 100_000


def test_a_log_may_sign_in_both_ways():
    """A reader that believes the ML-DSA key alone believes the same checkpoints."""
    both = [log_signer(), ml_dsa(ORIGIN)]
    log = appender(signers=both)
    log.append(entries(0, 5))
    note = log.checkpoint(CLOCK)
    for signer in both:
        assert signed_checkpoint(note, (signer.key,)).size == 5
        assert judge(note, policy("quorum none", log=signer)).missing == ()
    assert appender(log._store, log._index, signers=both).head == note
