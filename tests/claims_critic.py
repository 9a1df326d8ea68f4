# ruff: noqa: E501
"""Sentences as a language model might write them, about the table of `test_narration.known`: 60 false and 60 true.

Written by a maintainer who had read the verifier, before it was run on them; not by a language model.
"""

from __future__ import annotations

R, V = "resnet50", "vgg16"
T, S = "“tabby, tabby cat”", "“tiger cat”"
GR, CR, SR = (f"made-up-{m} map of {R}" for m in ("gradient", "cam", "signed"))
GV, SV = (f"made-up-{m} map of {V}" for m in ("gradient", "signed"))
O, I = "observation", "interpretation"  # noqa: E741

# (text, ids, kind)
FALSE: list[tuple[str, str, str]] = [
    # left and right, up and down
    (f"In the {CR}, the middle right holds 19.7 % of the mass.", "a2.middle-left a2.middle-right", O),
    (
        f"In the {CR}, the middle right holds more of the mass than the middle left.",
        "a2.middle-left a2.middle-right",
        O,
    ),
    (
        f"In the {SR}, the lower center holds 22.5 % of the mass and the upper center 3.9 %.",
        "a3.upper-center a3.lower-center",
        O,
    ),
    (f"The {CR} lies to the right of the center.", "a2.peak", O),
    (f"In the {SR}, the upper right holds 10.9 % of the mass.", "a3.middle-right a3.upper-right", O),
    (f"The {GR} peaks in the upper center, at x 46, y 30.", "a1.peak a1.upper-center", O),
    # numbers
    (f"{R} gives {T} a probability of 30 %.", "m1.p1", O),
    (f"{R} gives {T} a probability of 29.9 %.", "m1.p1", O),
    (f"{R} gives {T} a probability of about 30 %.", "m1.p1", O),
    (f"{V} gives {T} a probability that is 10.6 percentage points higher than that of {R}.", "m1.p1 m2.p1", O),
    (f"{V} gives {T} a 35 % higher probability than {R}.", "m1.p1 m2.p1", O),
    (f"In the {GR}, the center holds 72.5 times the mass of the upper left.", "a1.center a1.upper-left", O),
    (f"In the {GR}, the center holds 3.3 times its share of the area.", "a1.center", O),
    (f"In the {GR}, three quarters of the mass lie in the center.", "a1.center", O),
    (f"The {GR} is twice as dense in the region “lesion” as over the picture.", "a1.d2", O),
    (f"The {GR} is 3.8 times as dense in the region “lesion” as over the picture.", "a1.d2 a4.d2", O),
    (f"In the {GR}, the center holds at least 72.5 % of the mass.", "a1.center", O),
    (f"In the {GR}, the center holds 72.5 % of the area and 21.8 % of the mass.", "a1.center", O),
    (f"{R} and {V} give {T} probabilities of 40.4 % and 29.8 %.", "m1.p1 m2.p1", O),
    (f"{R} and {V} both give {T} a probability of 29.8 %.", "m1.p1 m2.p1", O),
    ("There are two maps of three models.", "n.maps n.models", O),
    # the wrong one
    (f"The margin of {V} is 0.298.", "m2.margin m1.margin", O),
    (f"{R} gives {S} a probability of 32.0 %.", "m1.p2 m2.p2", O),
    (f"{R} says {S}, with a probability of 22.1 %.", "m1.p2", O),
    (f"{R} says {T} and {V} says {S}.", "m1.p1 m2.p2", O),
    (f"The first class of {V} is {S}.", "m2.p2", O),
    (f"{R} gives “lynx, catamount” the second largest probability.", "m1.p4", O),
    (f"{R} was shown less of the picture than {V}, and it was shown 62.1 %.", "m1.shown m2.shown", O),
    (f"{R} gives {T} 29.8 % in probability; {V} peaks in the center with it.", "m1.p1 a4.peak", O),
    (
        f"In the made-up-gradient and made-up-cam maps of {R}, the center holds 48.2 % and 72.5 % of the mass.",
        "a1.center a2.center",
        O,
    ),
    (
        f"In the made-up-gradient and made-up-cam maps of {R}, the center holds 72.5 % of the mass.",
        "a1.center a2.center",
        O,
    ),
    (
        f"In the made-up-gradient maps of {R} and {V}, the upper center holds the largest share of the mass.",
        "a1.upper-center a4.upper-center a1.center",
        O,
    ),
    (
        f"In the {SV}, the largest share of the mass lies in the center, and in the {SR} in the upper center.",
        "a5.center a3.upper-center",
        O,
    ),
    # agreement
    (f"The made-up-gradient and made-up-cam maps of {R} agree.", "g1", O),
    (f"The maps of {R} and {V} agree for all methods.", "g3 g5", O),
    (f"The made-up-gradient and made-up-signed maps of {R} and {V} agree.", "g3 g5", O),
    (f"Both models agree by the made-up-signed map.", "g5", O),  # noqa: F541
    (f"The made-up-signed maps of {R} and {V} agree better than those by made-up-gradient.", "g3 g5", O),
    (f"The rank correlation of the made-up-signed maps of {R} and {V} is 0.99.", "g3 g5", O),
    (f"The made-up-signed maps of {R} and {V} show no significant difference.", "g5", O),
    (f"The difference between the made-up-gradient maps of {R} and {V} is not assessable.", "g3", O),
    ("Of 2 pairs of maps between models, 2 agree.", "g.models.agree", O),
    ("Of 4 pairs of maps within a model, 4 agree.", "g.methods.agree g.methods.not-better-than-chance", O),
    # words that claim too much
    (f"The {GR} clearly peaks in the center.", "a1.peak", O),
    (f"The peak in the center proves that {R} looks at the animal.", "a1.peak", I),
    (f"{R} focuses on the center.", "a1.center", O),
    (f"{R} may rely on the region marker.", "a1.d1", I),
    (f"{R} ignores the region marker.", "a1.d1", O),
    (f"The answer {T} of {R} depends on the center.", "a1.center m1.p1", O),
    (f"The {GR} highlights the tumor.", "a1.r2", O),
    (f"The region “lesion” may be malignant, as the {GR} is densest there.", "a1.d2", I),
    (f"{R} is confident, with a probability of 29.8 % for {T}.", "m1.p1", O),
    (f"{V} is a better model than {R}, with 40.4 % for {T}.", "m1.p1 m2.p1", O),
    (f"The {GR} is reliable.", "a1.spread", O),
    # denials, and their doubles
    (f"The {GR} does not peak outside the center.", "a1.peak", O),
    (f"It is not the case that the {GR} lies outside the region marker.", "a1.peak1", O),
    (f"None of the {GR} lies in the region marker.", "a1.r1", O),
    # from elsewhere
    (f"The picture shows a cat, which {R} calls {T}.", "m1.p1", O),
    (f"{R} gives “golden retriever” a probability of 9.1 %.", "m1.p5", O),
    (f"The {GR} covers the whiskers and the ears.", "a1.center", O),
]

TRUE: list[tuple[str, str, str]] = [
    (f"{R} says {T}, with a probability of 29.8 %.", "m1.p1", O),
    (f"{V} predicts {T} with a probability of 40.4 %.", "m2.p1", O),
    (f"The top class of {R} is {T} (29.8 %), by probability.", "m1.p1", O),
    (f"For {R}, the most probable class is {T}, at 29.8 %.", "m1.p1", O),
    (f"{R} and {V} both predict {T}, with probabilities of 29.8 % and 40.4 %.", "m1.p1 m2.p1", O),
    (f"Both models, {R} and {V}, give the same class.", "c1", O),
    (f"{R} and {V} give the same class.", "c1", O),
    (f"{V} assigns {T} a higher probability, 40.4 %, than {R}, 29.8 %.", "m1.p1 m2.p1", O),
    (f"{V} gives {S} the second largest probability, 32.0 %.", "m2.p2", O),
    (f"{R} gives {T} 29.8 % and {S} 22.1 % in probability.", "m1.p1 m1.p2", O),
    (f"The probability of {S} is 22.1 % for {R} and 32.0 % for {V}.", "m1.p2 m2.p2", O),
    (f"With {R}, the probabilities of {T} and {S} are 29.8 % and 22.1 %.", "m1.p1 m1.p2", O),
    (f"{R} has a margin of 0.298.", "m1.margin", O),
    (f"The margins of {R} and {V} are 0.298 and 0.232.", "m1.margin m2.margin", O),
    (f"The margin of {R} is larger than that of {V}.", "m1.margin m2.margin", O),
    (f"{R} was shown 51.0 % of the picture.", "m1.shown", O),
    (f"{R} was shown 51.0 % of the picture and {V} 62.1 %.", "m1.shown m2.shown", O),
    (f"The {GR} peaks in the center.", "a1.peak", O),
    (f"The peak of the {GR} is in the center, at x 46, y 30.", "a1.peak", O),
    (f"The made-up-gradient and made-up-cam maps of {R} peak in the center.", "a1.peak a2.peak", O),
    (f"The made-up-gradient maps of {R} and {V} both peak in the center.", "a1.peak a4.peak", O),
    (f"In the {GR}, 72.5 % of the mass lies in the center.", "a1.center", O),
    (f"In the {GR}, 72.5 % of the mass lies in the center, which makes up 21.8 % of the area.", "a1.center", O),
    (f"The center holds 72.5 % of the mass of the {GR}.", "a1.center", O),
    (f"The center holds the largest share of the mass in the {GR}, 72.5 %.", "a1.center", O),
    (f"The center contains more of the mass of the {GR} than its share of the area.", "a1.center", O),
    (f"In the {GR}, the center holds 72.5 % of the mass, compared with 21.8 % of the area.", "a1.center", O),
    (
        f"In the made-up-gradient and made-up-cam maps of {R}, the center holds 72.5 % and 48.2 % of the mass.",
        "a1.center a2.center",
        O,
    ),
    (f"The center holds 72.5 % of the mass in the {GR} and 64.8 % in the {GV}.", "a1.center a4.center", O),
    (
        f"In the made-up-gradient maps, the center holds 72.5 % of the mass for {R} and 64.8 % for {V}.",
        "a1.center a4.center",
        O,
    ),
    (
        f"The largest share of the mass lies in the center in the made-up-gradient, made-up-cam and made-up-signed maps of {R}.",
        "a1.center a2.center a3.center",
        O,
    ),
    (f"In the {SR}, the upper center follows with 22.5 % of the mass.", "a3.upper-center", O),
    (
        f"In the {CR}, the upper center holds 20.0 % and the middle left 19.7 % of the mass.",
        "a2.upper-center a2.middle-left",
        O,
    ),
    (f"In the {GR}, the upper left holds only 0.4 % of the mass.", "a1.upper-left", O),
    (f"In the {GR}, the upper left holds less of the mass, 0.4 %, than its 6.6 % of the area.", "a1.upper-left", O),
    (f"In the {GR}, the share of the mass in the center, 72.5 %, is above its 21.8 % of the area.", "a1.center", O),
    (f"The {GR} is spread unevenly over the picture.", "a1.spread", O),
    (f"For an even spread, 50.8 % of the {GR} would have to move.", "a1.spread", O),
    (f"The region “lesion” holds 65.6 % of the mass in the {GR}.", "a1.r2", O),
    (f"The region “lesion” holds 65.6 % of the mass of the {GR}, more than its 19.1 % of the area.", "a1.r2", O),
    (f"The region marker holds 0.1 % of the mass in the {GR}.", "a1.r1", O),
    (f"The {GR} is 3.4 times as dense in the region “lesion” as over the picture.", "a1.d2", O),
    (f"The density of the {GR} in the region “lesion” is 3.4 times that of the picture.", "a1.d2", O),
    (f"The {GR} peaks inside the region “lesion”.", "a1.peak2", O),
    (f"The made-up-gradient and made-up-cam maps of {R} peak inside the region “lesion”.", "a1.peak2 a2.peak2", O),
    (f"The {SV} peaks outside the region “lesion”.", "a5.peak2", O),
    (f"{R} might use the region “lesion”, where the {GR} is 3.4 times as dense as over the picture.", "a1.d2", I),
    (
        f"The {GR} is consistent with a model that uses the region “lesion”, with a density of 3.4 times that of the picture.",
        "a1.d2",
        I,
    ),
    (f"{V} may look at the region “lesion”, which holds 59.0 % of the mass in the {GV}.", "a4.r2", I),
    (f"In the {SR}, 47.6 % of the sum of magnitudes counts against the class.", "a3.against", O),
    (f"The made-up-gradient maps of {R} and {V} agree.", "g3", O),
    (f"The made-up-gradient maps of {R} and {V} agree, with a rank correlation of 0.99.", "g3", O),
    (f"The made-up-signed maps of {R} and {V} partly agree (rank correlation 0.66).", "g5", O),
    (
        f"Between {R} and {V}, the rank correlation is 0.99 for the made-up-gradient maps and 0.66 for the made-up-signed maps.",
        "g3 g5",
        O,
    ),
    (f"The agreement of the made-up-gradient and made-up-cam maps of {R} is not better than chance.", "g1", O),
    (
        f"The rank correlation of the made-up-gradient and made-up-cam maps of {R} is 0.58, where chance is 0.83.",
        "g1",
        O,
    ),
    ("Of 2 pairs of maps between models, 1 agrees.", "g.models.agree", O),
    ("There are 2 models, 3 methods and 5 maps.", "n.models n.methods n.maps", O),
    (
        f"There is no made-up-cam map of {V}: “This network has no spatial layer before its head; use made-up-gradient instead.”",
        "failure1",
        O,
    ),
    (f"A warning comes with the {SR}.", "a3.warning", O),
]
