"""Cut the figures' fonts from matplotlib's DejaVu Sans: `python docs/write_fonts.py [FOLDER]`.

A figure's PDF carries the letters that it shows, which fontTools takes out of the font file. From all of DejaVu Sans,
with 6,000 letters and the tables of its scripts, that took a third of the time of all figures. The fonts written here
have the letters of European languages in Latin script and the signs that figures use. Anything else is taken from
DejaVu Sans itself, so no figure looks different. Run this again when matplotlib brings another DejaVu Sans.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
from fontTools import subset

FONTS = Path(__file__).parents[1] / "src/refusal_stability/figures/fonts"
FAMILY = "DejaVu Sans Latin"
# Basic Latin, Latin-1 and Latin Extended-A; dashes, quotes and the ellipsis; per mille to guillemets; single signs.
RANGES = ((0x20, 0x7E), (0xA0, 0x17F), (0x2010, 0x2027), (0x2030, 0x203A), (0x2190, 0x2193))
SIGNS = (0x20AC, 0x2212, 0x2248, 0x2260, 0x2264, 0x2265)
FAMILY_ID = 1
KEPT_NAMES = (0, FAMILY_ID, 2, 3, 4, 5, 6, 13, 14)


def write(folder: Path) -> None:
    """Write the regular and the bold font into a folder."""
    letters = [code for first, last in RANGES for code in range(first, last + 1)]
    for name in ("DejaVuSans", "DejaVuSans-Bold"):
        options = subset.Options(glyph_names=True, notdef_outline=True, recommended_glyphs=True, legacy_kern=True)
        options.recalc_timestamp = False
        options.name_IDs = KEPT_NAMES
        options.drop_tables += ["FFTM", "GDEF", "GPOS", "MATH"]
        font = subset.load_font(Path(matplotlib.get_data_path(), "fonts/ttf", f"{name}.ttf"), options)
        cut = subset.Subsetter(options)
        cut.populate(unicodes=[*letters, *SIGNS])
        cut.subset(font)
        for found in [found for found in font["name"].names if found.nameID == FAMILY_ID]:
            # A family of its own: matplotlib finds fonts by it.
            found.string = FAMILY
        subset.save_font(font, folder / f"{name}-Latin.ttf", options)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FONTS)
