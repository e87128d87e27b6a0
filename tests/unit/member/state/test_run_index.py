"""The runs an agent answers for, and the sums of what they hold."""

from hansa.api.workgrant import WorkGrantSpec
from hansa.member.state.run_index import Entry, RunIndex
from tests.unit.grants.grant_kit import grant


def entry(name_epoch: int = 3, gpu_class: str = "nvidia-l40s") -> Entry:
    spec = WorkGrantSpec.model_validate(grant())
    return Entry(spec.model_copy(update={"epoch": name_epoch}), {}, "d", gpu_class)


def test_the_book_counts_what_is_held():
    book, run = RunIndex(), entry()
    book.put(run, holding=True)
    book.put(run, holding=True)
    assert (book.held, book.running_jobs) == ({"nvidia-l40s": 2}, 1)
    book.choose_class(run.name, "nvidia-a100")
    assert book.held == {"nvidia-a100": 2}
    book.choose_class(run.name, "nvidia-a100")
    book.put(entry(4), holding=False)
    assert book.running_jobs == 1
    book.let_go(run.name)
    assert (book.held, book.running_jobs) == ({}, 0)
    book.drop(run.name)
    assert book.names() == [entry(4).name]
    assert run.title == "hospital/study"
