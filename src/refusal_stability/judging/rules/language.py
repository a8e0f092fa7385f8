"""Whether a text begins in English: by the small words that every sentence of a language needs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from refusal_stability.judging.rules.phrases import FUNCTION_WORDS

# Words that are common in both English and another language tell nothing.
AMBIGUOUS = frozenset(
    re.findall(r"\w+", "a all am an as at be by do for had has he her him in is it me my no of on or s so t m was we")
)
ENGLISH = (FUNCTION_WORDS - AMBIGUOUS) | {"these", "those", "or", "if", "about", "into", "some", "than", "then"}
FOREIGN = frozenset(
    re.findall(
        r"\w+",
        """
    der das und ist nicht ich ein eine einen einem einer mit auf für dem des sich auch es wird sind sie wir kann können
    leider oder aber bei nach von vom zum zur wie hier ihre dir mir mich dich dass wenn keine kein nein bitte dazu diese
    dieser dieses werden haben habe
    le la les une et est pas je ne vous nous il elle que qui dans avec cette ces du au aux sont mais oui votre être où
    el los las una de en con por para pero lo se su sus mi mis tu como más esta eso esa esto aquí sí muy ya hay puedo
    puede
    um uma é em não sim seu sua isso isto essa aqui ao à às dos das da na nas nos muito também ou
    gli è che di per non sì questo questa sono ci si dei del della delle nel nella al alla ecco più anche
    het een van ik je dat dit niet voor op te zijn naar maar ook er aan om bij uit kun deze wordt worden geen heb nee
    och att det som är på inte jag av till har ett så eller från ikke jeg og af et å
    nie jest się że jak ale tak jestem są dla od przez lub być tego tym tej není je jsem jsou být
    bir bu ve için ile çok gibi ama değil evet hayır var yok olarak ben
    yang dan ini itu untuk dengan tidak akan pada dari adalah saya anda bisa dapat atau juga dalam oleh
    ja ei että mutta kun niin tämä și nu este în cu sunt pentru az és nem hogy egy
    """,
    )
)


def is_foreign(words: Sequence[str]) -> bool:
    """Whether a text that begins with these words is in another language than English.

    Parameters
    ----------
    words : the first words of a text, in lower case.

    Returns
    -------
    bool
        True where more different words are common in another language, or have letters that English lacks, than are
        common in English alone.
    """
    different = set(words)
    foreign = sum(word in FOREIGN or not word.isascii() for word in different)
    return foreign > len(different & ENGLISH)
