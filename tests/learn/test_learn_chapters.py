"""Chapters: complete, with math that browsers draw, code that runs, experiments that there are, and sources that exist."""

import re

import pytest

from whylook.errors import UsageError
from whylook.learn import PARTS, Code, Text, Use, chapter, chapters, experiments
from whylook.learn.chapter import read
from whylook.learn.rendering import as_html, math
from whylook.methods import METHODS
from whylook.metrics import METRICS

SLUGS = [c.slug for c in chapters()]
# Sources that are no method's or metric's own; each was looked up.
LOOKED_UP = {
    "arXiv:1702.08591": "The Shattered Gradients Problem",
    "arXiv:1805.07039": "A Theoretical Explanation for Perplexing Behaviors of Backpropagation-based Visualizations",
    "arXiv:1902.10178": "Unmasking Clever Hans Predictors",
    "arXiv:2004.07780": "Shortcut Learning in Deep Neural Networks",
    "doi:10.1007/978-3-030-28954-6_10": "Layer-Wise Relevance Propagation: An Overview",
    "doi:10.1038/s42256-021-00338-7": "AI for radiographic COVID-19 detection selects shortcuts over signal",
    "doi:10.1038/s42256-022-00536-x": "Benchmarking saliency methods for chest X-ray interpretation",
    "doi:10.1371/journal.pmed.1002683": "Variable generalization performance … to detect pneumonia",
    "doi:10.23915/distill.00022": "Visualizing the Impact of Feature Attribution Baselines",
}


def test_parts_come_in_order_and_none_is_empty():
    assert list(dict.fromkeys(c.part for c in chapters())) == list(PARTS)
    assert [c.order for c in chapters()] == list(range(1, len(SLUGS) + 1))
    assert len(set(SLUGS)) == len(SLUGS)


def test_every_pitfall_and_every_step_of_the_theory_has_a_live_experiment():
    without = [c.slug for c in chapters() if not c.uses]
    assert without == []


def test_every_experiment_is_in_a_chapter_and_its_parameters_can_be():
    used = {u.experiment for c in chapters() for u in c.uses}
    assert used == set(experiments().names())
    for c in chapters():
        for use in c.uses:
            experiments()[use.experiment].fill(use.parameters)


@pytest.mark.parametrize("slug", SLUGS)
def test_the_code_of_a_chapter_runs(slug):
    codes = [p.python for p in chapter(slug).pieces if isinstance(p, Code)]
    assert codes
    space: dict[str, object] = {"__name__": "__main__"}
    for code in codes:
        exec(compile(code, f"{slug}.md", "exec"), space)


@pytest.mark.parametrize("slug", SLUGS)
def test_html_needs_nothing_that_the_policy_of_the_page_forbids(slug):
    body = as_html(chapter(slug))
    assert "<script" not in body
    assert not re.search(r"<[^>]*\s(style|on\w+)=", body)
    assert "$" not in re.sub(r"<pre.*?</pre>", "", body, flags=re.DOTALL)  # all math was understood
    assert "\\" not in re.sub(r"<pre.*?</pre>", "", body, flags=re.DOTALL)
    assert body.count('class="experiment"') == len(chapter(slug).uses)


def test_links_within_the_tutorial_lead_to_chapters():
    targets = {
        t
        for c in chapters()
        for p in c.pieces
        if isinstance(p, Text)
        for t in re.findall(r"\]\(/([^)]*)\)", p.markdown)
    }
    assert targets - {"compare"} <= {f"learn/{slug}" for slug in SLUGS}


def test_every_source_is_one_that_was_checked():
    known = {m.paper for m in METHODS} | {m.paper for m in METRICS} | set(LOOKED_UP)
    cited = set()
    for c in chapters():
        cited |= set(re.findall(r">((?:arXiv|doi):[^<]+)</a>", as_html(c)))
        text = "".join(p.markdown for p in c.pieces if isinstance(p, Text))
        assert len(re.findall(r"arXiv:|doi:", text)) == len(
            re.findall(r">(?:arXiv|doi):", as_html(c))
        )  # each is a link
    assert cited <= known
    assert set(LOOKED_UP) <= cited


def test_a_definition_is_typeset():
    drawn = math(r"\left| \frac{\partial y_c}{\partial x} \right|", {"display_mode": True})
    assert drawn.startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">')
    assert "<mfrac>" in drawn
    assert "&#x02202;" in drawn  # ∂


def test_pieces_come_in_order_and_parameters_are_read():
    made = read(
        "---\nslug: a\ntitle: B: c\npart: theory\norder: 3\n---\nOne $x$.\n\n```python\nprint(1)\n```\n"
        '```experiment look {"method": "lrp"}\n```\nTwo.\n'
    )
    assert (made.slug, made.title, made.order) == ("a", "B: c", 3)
    assert made.pieces == (Text("One $x$."), Code("print(1)\n"), Use("look", {"method": "lrp"}), Text("Two."))


@pytest.mark.parametrize("text", ["No head.", "---\nslug: a\ntitle: b\npart: poems\norder: 1\n---\n"])
def test_a_file_that_is_no_chapter_is_refused(text):
    with pytest.raises(ValueError, match=r"head|part"):
        read(text)


def test_a_fence_of_another_language_is_refused():
    with pytest.raises(ValueError, match="bash"):
        read("---\nslug: a\ntitle: b\npart: theory\norder: 1\n---\n```bash\nls\n```\n")


def test_a_chapter_that_there_is_not_names_those_there_are():
    with pytest.raises(UsageError, match="introduction"):
        chapter("nowhere")
