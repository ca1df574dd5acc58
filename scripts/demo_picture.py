"""Draw docs/pictures/demo.png from a run on simulated hearts.

    python scripts/demo_picture.py runs/demo/run docs/pictures/demo.png

A run on real hosts is refused: the licence of the hosts would bind the picture too.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lgesynthnet.report.panels import Panel, sample_panels
from lgesynthnet.report.report import spread
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.licence import host_licence

ROWS, SIDE, GAP, HEAD = 3, 216, 6, 22


def main(run: Path, picture: Path) -> None:
    """Draw one row of panels for each of three kept samples."""
    folder = RunFolder.open(run)
    if host_licence(folder.plan.request.hosts)[0] != "apache-2.0":
        raise SystemExit(f"{run}: its hosts are not simulated; give a run on simulated hosts, such as that of `lgesynthnet demo`")
    strips = [panels for row in spread(folder.painted(), ROWS) if len(panels := sample_panels(folder, row)) == 4]
    if not strips:
        raise SystemExit(f"{run}: has no kept sample whose host file exists; make the run again")
    sheet = Image.new("RGB", (4 * SIDE + 3 * GAP, HEAD + len(strips) * (SIDE + GAP) - GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, panel in enumerate(strips[0]):
        draw.text((column * (SIDE + GAP) + SIDE / 2, HEAD / 2), panel.title, fill="black", font=font, anchor="mm")
    for row, panels in enumerate(strips):
        for column, panel in enumerate(panels):
            sheet.paste(fitted(panel), (column * (SIDE + GAP), HEAD + row * (SIDE + GAP)))
    picture.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(picture, optimize=True)


def fitted(panel: Panel) -> Image.Image:
    """The picture of the panel on a black square."""
    image = Image.open(io.BytesIO(base64.b64decode(panel.src.split(",", 1)[1]))).convert("RGB")
    square = Image.new("RGB", (SIDE, SIDE))
    square.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return square


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
