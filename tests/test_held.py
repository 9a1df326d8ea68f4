"""Two commands that write into one folder: one after the other, or a sentence."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import whylook
from whylook.comparison.store import Store
from whylook.errors import WhylookError
from whylook.held import held, take

fcntl = pytest.importorskip("fcntl", reason="this system has no advisory locks")


def test_a_second_writer_waits_for_the_first(tmp_path):
    order = []
    entered = threading.Event()

    def second():
        entered.wait()
        with held(tmp_path):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with held(tmp_path):
        entered.set()
        thread.join(timeout=0.2)
        assert thread.is_alive()
        order.append("first")
    thread.join(timeout=10)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_two_that_save_into_one_folder_leave_one_whole_result(tmp_path):
    names = ["phantom:vgg", "phantom:resnet"]
    results = [whylook.explain(whylook.phantom.picture(), name, methods=["gradient"]) for name in names]
    start = threading.Barrier(2)

    def save(result):
        start.wait()
        for _ in range(3):
            result.save(tmp_path)

    # A lock belongs to an open file, not to a process: threads are kept apart as processes are.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(save, results))
    record = json.loads((tmp_path / "result.json").read_text("utf-8"))
    (model,) = [m["name"] for m in record["models"]]
    other = next(n for n in names if n != model)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert model in page
    assert f'"model":"{other}"' not in page
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "facts.json",
        "figure.png",
        "maps.npz",
        "report.html",
        "result.json",
    ]


def test_a_second_comparison_into_the_folder_is_refused_in_a_sentence(tmp_path):
    first = Store(tmp_path)
    first.put("a", {"x": 1})
    with pytest.raises(WhylookError, match="Another comparison is writing to"):
        Store(tmp_path)
    first.close()
    again = Store(tmp_path)
    assert again.get("a") == {"x": 1}
    again.close()


def test_a_lock_ends_with_its_file(tmp_path):
    with (tmp_path / "x").open("w") as one, (tmp_path / "x").open("a") as two:
        assert take(one.fileno())
        assert not take(two.fileno())
        one.close()
        assert take(two.fileno())
