"""`python -m bench.narrator --llm-model NAME [--llm-url URL] [--pictures N]`: does a live language model word facts right?

Opt-in, for those who have a key or a server: it asks about drawn films, whose facts are known, and sends nothing else.
An answer is right if a claim of it passes the verifier, cites the fact that was asked for, and says it:

* value: the number, as it is shown;
* sign: whether a part of the picture holds more or less of the map than of the area;
* rank: the part that holds most of the map.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from whylook.errors import WhylookError
from whylook.facts import Facts
from whylook.narration.claims import Claim
from whylook.narration.client import Client
from whylook.narration.openai import Narrator, request_of
from whylook.narration.pictures import Which, pictures
from whylook.narration.settings import settings

NETWORKS = ("phantom:resnet", "phantom:vgg-shortcut")
METHODS = ("grad-cam", "gradient")
KINDS = ("value", "sign", "rank")


@dataclass(frozen=True)
class Question:
    """A question, the fact that answers it, and words of which the answer has one."""

    kind: str
    text: str
    fact_id: str
    words: tuple[str, ...]

    def judge(self, kept: tuple[Claim, ...], dropped: tuple[Claim, ...]) -> str:
        """`right`, `dropped` (the fact is cited, and what is said of it does not hold) or `nothing`."""
        if any(self.fact_id in c.fact_ids and any(w in c.text for w in self.words) for c in kept):
            return "right"
        return "dropped" if any(self.fact_id in c.fact_ids for c in dropped) else "nothing"


def questions(facts: Facts) -> Iterator[Question]:
    """Everything of one picture whose answer is a single fact; nothing is asked twice."""
    for f in facts.named("probability"):
        if f.subject.rank == 1 and f.value is not None:
            asked = f"What probability does {f.subject.models[0]} give the first of its classes?"
            yield Question("value", asked, f.id, (f.text,))
    seen: Counter[tuple[str, ...]] = Counter()
    for f in facts.named("share"):
        model, method = f.subject.models[0], facts.titles[f.subject.methods[0]]
        if f.verdict == "largest":
            asked = f"In which part of the picture does the largest share of the {method} map of {model} lie?"
            yield Question("rank", asked, f.id, (f.subject.region,))
        elif f.verdict in ("more", "less") and not seen[model, method, f.verdict]:
            seen[model, method, f.verdict] += 1
            asked = (
                f"Does the {f.subject.region} of the picture hold more or less of the {method} map of {model} than of the "
                "area?"
            )
            yield Question("sign", asked, f.id, (f.verdict,))


def score(narrator: Narrator) -> Iterator[tuple[str, str]]:
    """Ask every question about one picture, each without the ones before; yield (kind, outcome)."""
    for question in questions(narrator.facts):
        told = Narrator(narrator.facts, narrator.request, narrator.client).ask(question.text).verified
        yield question.kind, question.judge(told.kept, tuple(d.claim for d in told.dropped))


def main(arguments: list[str] | None = None) -> int:
    """Run the questions and print a table; nothing is asserted."""
    parser = argparse.ArgumentParser(prog="python -m bench.narrator", description=__doc__.splitlines()[0])
    parser.add_argument("--llm-model")
    parser.add_argument("--llm-url")
    parser.add_argument("--llm-timeout", type=float)
    parser.add_argument("--llm-images", choices=("none", "overlay", "all"), default="none")
    parser.add_argument("--pictures", type=int, default=5)
    given = parser.parse_args(arguments)
    which: Which = given.llm_images
    from whylook import explain, load_model
    from whylook.facts import facts
    from whylook.phantom import picture
    from whylook.statistics import wilson

    outcomes: Counter[tuple[str, str]] = Counter()
    try:
        client = Client(settings(given.llm_url, given.llm_model, given.llm_timeout))
        models = [load_model(name) for name in NETWORKS]
        for seed in range(given.pictures):
            explanation = explain(picture(seed), models, list(METHODS))
            known = facts(explanation)
            request = request_of(known, pictures(explanation.image, explanation.maps, which))
            outcomes.update(score(Narrator(known, request, client)))
    except WhylookError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{client.settings.model} at {client.settings.host}, {given.pictures} drawn films, pictures: {which}")
    for kind in KINDS:
        count = sum(n for (k, _), n in outcomes.items() if k == kind)
        right = wilson(outcomes[kind, "right"], count)
        interval = "" if right.low is None or right.high is None else f" ({right.low:.0%} to {right.high:.0%})"
        print(
            f"{kind:6} right {outcomes[kind, 'right']:3} of {count:3}{interval}, "
            f"said wrongly and dropped {outcomes[kind, 'dropped']:3}, not said {outcomes[kind, 'nothing']:3}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
