"""The words that a claim may be made of, beside the names in its facts; and those it may not, with the reason."""

from __future__ import annotations

import re

_FUNCTION = """
a about above across again ahead alone along also although among an and another any are around as at be been behind
being below beside between beyond both but by can come comes coming compared could denser do does each else even
every exceed exceeds fewer for from further give given gives goes greater had has have having here higher highest
how however if in including instead into is it its itself just larger largest least less like lower lowest many may
might more most much near of off on once one ones only onto or other others otherwise out over own part per rather
regarding respect respectively same several should smaller smallest so some still stronger strongest such taken than
that the their them themselves then there these they this those though through to together too toward towards two
under until up upon very via was we weaker weakest well were what when where whether which while who whole whose
will with within would yet
"""
_MEASURING = """
accounting accounts addition additional adds against agree agreement agrees amount amounts answer answered answers
area areas assessable assessed assign assigned assigns attend attends attention attribution attributions available
average base based belong belonging belongs both careful carefully carries carry caution cell cells chance class
class's classes close closely combined comes common comparable compare comparing comparison complete completeness
computed concentrate concentrated concentrates concerns consistent contain containing contains contrast coordinates
correlate correlates correlation corresponding count counts cover covered covering covers dense densest density
depend depends descending described describes detail detectable differ difference differences different differently
differs direction disagree disagreement disagrees displayed distributed distribution edge elsewhere empty equal
equally equals estimate evaluated evaluations even evenly everywhere evidence exact examined expect expected
explained extent fall falling falls far favor favors figure figures find finer first flat focus focused focuses
followed following follows found fraction full gap general given grid heavier hint hints hold holding holds
identical image images included includes indicate indicated indicates information input inside interpretation
interval its kind known label labeled labels laid largely largest leading learned level levels lie lies limit
limited limits listed little local locate located location locations logit logits look looking looks lying made
magnitude magnitudes main makes map map's mapped maps margin marked mask mass match matches matching mean meaning
measure measured measurement measurements measures method method's methods missing model model's models moderate
moderately modest narrow negative network networks next note notes number numbers observation observed obtained
occupied occupies occupy opposing order original outside overall padding pair pairs part partial partially partly
parts passes peak peaked peaks percent picture picture's pictures pixels place placed places point points position
positions positive possible predict predicted predicting prediction predictions predicts present probabilities
probability probable produced proportion quantity rank ranked ranking ranks ratio reach reached reaches read reading
reads receive received receives recognize recognizes record recorded records rectangle region region's regions
relative relatively relies rely relying remain remaining remains report reported reports residual resolution respond
rest result results row rows runner said same saw say saying says scale score scored scores second section see seen
sees separate separately separates share shared shares show showing shown shows side sign signed similar similarly
single sits size slight slightly small somewhat spatial spread spreads stand standing stands stated states step
steps strength strong strongly suggest suggesting suggests sum summary sums support supported supports table taking
target test tested text third times total touches toward uneven unevenly uniform unit units unsigned use used uses
using value values view visible warning warnings weak weakly weight wide widely width x y zero
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
        r"diagnos\w*|patients?|diseases?|tumou?rs?|cancers?|pneumonia|malignan\w*|benign|patholog\w*|health(?:y|ier)?|sick\w*|ill(?:ness)?|"
        r"treat(?:ed|ment|ments)?|symptoms?|carcinomas?|fractures?|nodules?|lesions?|infections?|abnormal\w*|clinical(?:ly)?|"
        r"metasta\w*|effusions?|radiolog\w*|doctors?|therap(?:y|ies)|biops(?:y|ies)|prognos\w*|syndromes?|disorders?|edema|"
        r"pneumothorax|cardiomegaly|consolidations?|opacit(?:y|ies)|h(?:a)?emorrhages?|lungs?|hearts?|brains?|anatom\w*",
    ),
    (
        "puts an amount in a word that cannot be checked",
        r"hal(?:f|ves)|quarters?|twice|doubl(?:e|es|ed)|tripl(?:e|es|ed)|thrice|majority|minority|all|none|nearly|almost|dozens?|hundreds?|"
        r"thousands?|millions?|entire(?:ly)?|hardly|barely|mostly|mainly|fully|completely|approximately|roughly|about (?=\d)|around (?=\d)|"
        r"every|at least|at most|up to (?=\d)|(?:one|two|a|first|second) thirds?|third|exclusively|totally|virtually",
    ),
    ("denies something, which cannot be checked", r"no|not|never|neither|nor|cannot|without|nothing|nowhere|nobody|lacks?|fails?|failed|absent|absence|\w+n['’]t"),
)  # fmt: skip
ALLOWED_DENIALS = re.compile(r"\bnot (?:assessable|calibrated|shown)\b|\bno detectable difference\b", re.IGNORECASE)
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

_LETTERS = r"[^\W\d_⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+"
WORD = re.compile(rf"{_LETTERS}(?:['’\-]{_LETTERS})*")
