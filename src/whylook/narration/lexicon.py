"""The words that a claim may be made of, beside the names in its facts; and those it may not, with the reason."""

from __future__ import annotations

import re

_FUNCTION = """
a about above across again ahead alone along also although among an and another any are around as at be been behind
being below beside between both but by can come comes coming compared could denser do does each else even every
exceed exceeds fewer for from further give given gives goes greater had has have having here higher highest how
however if in including instead into is it its itself larger largest least less like lower lowest many may might
more most much of off on once one ones only onto or other others otherwise out over own part per rather regarding
respect respectively same several should smaller smallest so some still stronger strongest such taken than that the
their them themselves then there these they this those though through to together too toward towards two under until
up upon very via was we weaker weakest well were what when where whether which while who whole whose will with
within would yet
"""
_MEASURING = """
addition additional adds against agree agreement agrees amount amounts answer area areas assessable assessed assign
assigned assigns attends attention attribution attributions available average base based belong belonging belongs
better both carries carry caution cell cells chance class class's classes combined comes common comparable compare
comparing comparison computed concerns consistent contain containing contains contrast coordinates correlate
correlates correlation correlations corresponding count counts cover covered covering covers dense densest density depend
depends described describes detail detectable difference differences different differently direction disagree disagreement
disagrees displayed distributed distribution eight eleven elsewhere empty equal equals estimate evaluated
evaluations even evenly everywhere evidence examined expect expected fall falling falls figure figures find finding findings
finer first five focus focused focuses found four fraction gap general given grid have hold holding holds image images
included includes information input inside interpretation interval its kind known label labeled labels laid largest
learned leaves level levels lie lies limit limited limits listed little local locate located location locations
logit logits look looking looks lying made magnitude magnitudes makes map map's mapped maps margin margins marked mask mass
mean meaning measure measured measurement measurements measures method method's methods missing model model's models
move network networks next nine no not note notes number numbers observation observed obtained occupied occupies
occupy open order original outside overall padding pair pairs part partly parts passes peak peaked peaks percent
picture picture's pictures pixels place placed places point points position positions possible predict predicted
predicting prediction predictions predicts present probabilities probability probable proportion quantity rank
ranking ranks ratio reach reached reaches read reading reads receive received receives recognizes record recorded
records rectangle region region's regions relative relatively relies rely relying remain remaining remains report
reported reports residual resolution respond rest result results row rows runner s said same saw say saying says
score scored scores second section see seen sees separate separately separates seven share shared shares show
showing shown shows sign signed single sits six size small smooth spatial spread spreads stand standing stands
stated states step steps suggest suggesting suggests sum summary sums supported table taking target ten test tested
text third three times top total touches toward twelve uneven unevenly unit units unsigned use used uses using value
values view visible warning warnings weight would x y zero
"""
_BANNED: tuple[tuple[str, str], ...] = (
    (
        "says why, and a map does not tell",
        r"because|caus(?:e|es|ed|ing|al|ally|ation)|due to|owing to|lead(?:s|ing)? to|led to|therefore|thus|hence|consequently|"
        r"as a result|result(?:s|ed|ing)? (?:in|from)|so that|why|reasons?|driv(?:e|es|en|ing)|drove|responsible|explains|"
        r"makes? the (?:model|network)|made the (?:model|network)|produc(?:e|es|ing)|trigger\w*|influenc\w+|attributable to|"
        r"thanks to|stems? from|since|brings? about|account(?:s|ing)? for the",
    ),
    (
        "claims a certainty that no measurement gives",
        r"prov(?:e|es|ed|en|ing)|proofs?|certain(?:ly|ty)?|definite(?:ly)?|definitive(?:ly)?|clear(?:ly)?|undoubted(?:ly)?|"
        r"without doubt|obvious(?:ly)?|always|guarantee\w*|confirm\w*|must|surely|sure|demonstrat\w*|conclusive(?:ly)?|"
        r"unquestionabl\w+|evidently|undeniabl\w+|correct(?:ly|ness)?|incorrect(?:ly)?|reliabl\w+|reliability|trustworth\w+|true|truly|"
        r"truth|right answer|valid(?:ates?|ated)?|establish\w*|indeed|in fact",
    ),
    (
        "speaks of a diagnosis or of a patient",
        r"diagnos\w*|patients?|diseases?|tumou?rs?|cancers?|pneumonia|malignan\w*|benign|patholog\w*|health(?:y|ier)?|"
        r"sick\w*|ill(?:ness)?|treat(?:ed|ment|ments)?|symptoms?|carcinomas?|fractures?|nodules?|lesions?|infections?|abnormal\w*|clinical(?:ly)?|"
        r"metasta\w*|effusions?|radiolog\w*|doctors?|therap(?:y|ies)|biops(?:y|ies)|prognos\w*|syndromes?|disorders?|edema|"
        r"pneumothorax|cardiomegaly|consolidations?|opacit(?:y|ies)|h(?:a)?emorrhages?|lungs?|hearts?|brains?|anatom\w*",
    ),
    (
        "puts an amount in a word that cannot be checked",
        r"hal(?:f|ves)|quarters?|twice|doubl(?:e|es|ed)|tripl(?:e|es|ed)|thrice|majority|minority|all|none|nearly|almost|dozens?|hundreds?|"
        r"thousands?|millions?|entire(?:ly)?|hardly|barely|mostly|mainly|fully|completely|approximately|roughly|"
        r"about (?=\d)|around (?=\d)|every|at least|at most|up to (?=\d)|(?:one|two|a|first|second) thirds?|third|"
        r"exclusively|totally|virtually",
    ),
    (
        "denies something, which cannot be checked",
        r"no|not|never|neither|nor|cannot|without|nothing|nowhere|nobody|lacks?|fails?|failed|absent|absence|\w+n['’]t",
    ),
)  # fmt: skip
ALLOWED_DENIALS = re.compile(
    r"\bnot (?:assessable|calibrated|shown|better than chance)\b|\bno detectable difference\b", re.IGNORECASE
)
BANNED = tuple((why, re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)) for why, pattern in _BANNED)
SIGNIFICANT = re.compile(r"\b(?:in)?significan\w+", re.IGNORECASE)
HEDGE = re.compile(
    r"\b(?:may|might|could|suggests?|suggesting|consistent with|would expect|expected|hints?)\b", re.IGNORECASE
)
MECHANISM = re.compile(
    r"\b(?:reads?|reading|looks?|looking|rel(?:y|ies|ying)|uses?|used|using|attends?|attention|focus(?:es|ed)?|depends?|sees?|saw|seen|"
    r"recognizes?|learned|responds?|considers?)\b",
    re.IGNORECASE,
)
LEXICON = frozenset((_FUNCTION + _MEASURING).split())
"""Words that may stand in a claim, in lower case."""

SPATIAL = frozenset(
    {"left", "right", "upper", "center", "middle", "top", "bottom", "corner", "corners", "side", "sides", "border"}
)
"""Words of place; they may stand in a claim only as part of the name of a region."""

_LETTERS = r"[^\W\d_⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+"
WORD = re.compile(rf"{_LETTERS}(?:['’\-]{_LETTERS})*")
