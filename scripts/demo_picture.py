"""Make docs/pictures/demo.png from a run on simulated hearts: scripts/demo_picture.py runs/demo/run docs/pictures/demo.png

Never from real data: a picture of a sample is a derivative of its host.
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
    """Write one strip of panels for each of a few kept samples."""
    folder = RunFolder.open(run)
    if host_licence(folder.plan.request.hosts)[0] != "apache-2.0":
        raise SystemExit(f"{run}: its hosts are not simulated; this picture may show simulated hearts alone")
    strips = [panels for row in spread(folder.painted(), ROWS) if len(panels := sample_panels(folder, row)) == 4]
    if not strips:
        raise SystemExit(f"{run}: holds no kept sample with its host")
    sheet = Image.new("RGB", (4 * SIDE + 3 * GAP, HEAD + len(strips) * (SIDE + GAP) - GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, panel in enumerate(strips[0]):
        draw.text((column * (SIDE + GAP) + SIDE / 2, HEAD / 2), panel.title, fill="black", font=font, anchor="mm")
    for row, panels in enumerate(strips):
        for column, panel in enumerate(panels):
            sheet.paste(decoded(panel), (column * (SIDE + GAP), HEAD + row * (SIDE + GAP)))
    picture.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(picture, optimize=True)


def decoded(panel: Panel) -> Image.Image:
    """The panel, fitted onto a black square."""
    image = Image.open(io.BytesIO(base64.b64decode(panel.src.split(",", 1)[1]))).convert("RGB")
    square = Image.new("RGB", (SIDE, SIDE))
    square.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return square


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
