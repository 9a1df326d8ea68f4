"""The words that a claim may be made of, beside the names in its facts; and those it may not, with the reason."""

from __future__ import annotations

import re

_FUNCTION = """
a about across again alone along also although among an and another any are around as at be been being between beside beyond but by
can come comes coming compared could does do each else even every for from further gives given give goes had has have
having here how however if in including instead into is it its itself just like many may might much near of off
on once only onto or other others otherwise out over own part per rather regarding respectively
respect same several should so some still such taken than that the their them themselves then there these they this those though
through to together too toward towards two under until up upon very via was we well were what when where whether
which while who whole whose will with within would yet both one ones more less most least higher lower larger smaller
greater fewer above below exceeds exceed stronger weaker highest lowest largest smallest strongest weakest denser ahead behind
"""
_MEASURING = """
accounting accounts addition adds additional agree agreement agrees amount amounts answer answers answered area areas assessable assessed
assign assigned assigns attribution attributions available average base based belong belonging belongs both carries carry cell
cells chance class classes combined common comparable compare comparing comparison complete completeness computed concentrated
concentrates concentrate concerns consistent contain containing contains contrast coordinates correlate correlates correlation corresponding
count counts cover covered covering covers density dense densest descending described describes detail different differ differs
difference differences detectable differently direction disagree disagrees disagreement displayed distributed distribution
edge equal equals equally estimate evaluated evaluations even evenly everywhere evidence exact examined expect expected explained extent fall
falling falls favor favors figure figures find finer first flat followed following follows found fraction full gap general given grid
heavier hence-not hold holding holds identical image images included includes indicate indicates indicated input interval
kind known label labeled labels laid largest leading level levels lie lies listed local locate located location locations lying
made magnitude main makes map maps mapped margin marked mask mass matching match matches mean meaning measure measured measurement
measurements measures method methods missing model models modest moderate moderately narrow negative network networks next notes note number
numbers observed obtained occupied occupies occupy opposing order original outside inside overall padding pair pairs part partial partially
partly parts passes peak peaked peaks percent picture pictures pixels place placed places point points position positions positive possible
predict predicted predicting prediction predictions predicts present probability probabilities probable produced proportion quantity
rank ranked ranking ranks ranked-not ratio reach reached reaches receive received receives record recorded records rectangle region regions relative relatively
remain remaining remains report reported reports residual resolution respond rest result results row rows runner said same saw
say saying says scale score scored scores second section seen separate separately separates share shared shares show showing shown
shows side sign signed similar similarly single sits size small spatial spread spreads stand standing stands stated states step steps strength strong
strongly sum sums summary support supported supports suggest suggests suggesting table taking target test tested text third total
touches toward uniform unit units unsigned up-not value values view visible warning warnings weak weakly weight
weights-not wide widely width x y zero slight slightly times far closely close largely somewhat interpretation observation limit limits
limited empty against little information logit logits magnitude magnitudes dense padding elsewhere uneven unevenly answer comes evenly caution carefully careful reading reads read look looks looking uses use using used relies rely relying attends attend attention focus focuses focused
depend depends sees see recognizes recognize hint hints learned region's map's model's method's picture's class's its
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
LEXICON = frozenset(w for w in (_FUNCTION + _MEASURING).split() if not w.endswith("-not"))
"""Words that may stand in a claim, in lower case."""

_LETTERS = r"[^\W\d_⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+"
WORD = re.compile(rf"{_LETTERS}(?:['’\-]{_LETTERS})*")
