"""Every setting, declared once: its variable, its default, its sentence in docs/settings.md, and what it may be."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from pathlib import Path

from marshmallow import validate

from core import setting_rules as rules
from core.environment import setting

PROVIDERS = ("cpu", "cuda")
#: So many requests to predict may wait for their turn, or to be told that there is none; the next is told at once. It
#: is as many as one key may have open, by default.
MOST_KEPT = 256
#: So many predictions are made at once as long as they are answered as fast as they come.
AT_EASE = 32
#: For what needs no key, such as probes: they are answered also while every place is taken.
KEYLESS_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Redis, and how long one wake-up may keep a worker."""

    redis_url: str = setting(
        "REDIS_URL", MISSING, "`redis://…`, any server of the Redis protocol", rules.REDIS_URL, secret=True
    )
    slice_s: float = setting(
        "COATCHECK_SLICE_S", 5.0, "how long a worker drains the queue on one wake-up before it yields", rules.POSITIVE
    )
    max_run_timeout_s: int = setting("COATCHECK_MAX_RUN_TIMEOUT_S", 3600, "the largest `timeout_s`", validate.Range(1))


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The object store, where files and bundles lie."""

    endpoint_url: str = setting("S3_ENDPOINT_URL", MISSING, "`http(s)://…`, any S3", rules.S3_URL)
    access_key: str = setting("S3_ACCESS_KEY", MISSING, "the id of its key", secret=True)
    secret_key: str = setting("S3_SECRET_KEY", MISSING, "and the key itself", secret=True)
    public_url: str = setting(
        "S3_PUBLIC_URL",
        "",
        "the store as clients reach it, where that is not `S3_ENDPOINT_URL`; upload and download addresses are signed "
        "for it",
    )
    bucket: str = setting("S3_BUCKET", "coatcheck", "made by `coatcheck models push` if it is not there")
    region: str = setting("S3_REGION", "us-east-1", "the region that signatures name")


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """The keys under which the database holds what nobody may read there."""

    secret_key: str = setting(
        "COATCHECK_SECRET_KEY",
        MISSING,
        "at least 32 characters, the same for every process: seals webhooks' secrets and signed URLs in the database. "
        "With `COATCHECK_ENVIRONMENT=production` one that can be guessed is refused; `openssl rand -base64 32` makes a "
        "good one",
        validate.Length(rules.MIN_SECRET),
        secret=True,
    )
    old_secret_keys: tuple[str, ...] = setting(
        "COATCHECK_OLD_SECRET_KEYS",
        (),
        "by commas: older keys: values sealed under them can still be opened; nothing new is sealed under them",
        rules.secrets,
        items=str.strip,
        secret=True,
    )


@dataclass(frozen=True, kw_only=True)
class Models:
    """Which models answer, and how they run."""

    default_model: str = setting(
        "COATCHECK_DEFAULT_MODEL",
        "",
        "the model that answers a request that names none; without it that is the only one that is published, and "
        "where there are several such a request is 422",
        rules.MODEL,
    )

    model_cache: Path = setting(
        "COATCHECK_MODEL_CACHE",
        Path(".coatcheck/models"),
        "where fetched bundles lie: those of all versions that were ever asked for here; what is deleted is fetched "
        "again",
    )
    provider: str = setting(
        "COATCHECK_PROVIDER",
        "cpu",
        "`cuda`: a worker whose ONNX Runtime has no CUDA does not start, and one that gets no GPU refuses the model",
        validate.OneOf(PROVIDERS),
    )
    gpu_memory_mb: int = setting(
        "COATCHECK_GPU_MEMORY_MB",
        0,
        "MiB of the GPU's memory that all models of one process take together, with what their runs need; what has no "
        "room in it is run in halves. Those that are open hold no more than it, whatever `COATCHECK_MODEL_MEMORY_MB` "
        "says. 0 = all there is: set it where several processes share a GPU, or models in Python have their own "
        "memory there",
        validate.Range(0, 2**24),
    )
    onnx_threads: int = setting(
        "COATCHECK_ONNX_THREADS",
        0,
        "threads per model; 0 = as many CPUs as the cgroup allows",
        validate.Range(0, 256),
    )
    model_memory_mb: int = setting(
        "COATCHECK_MODEL_MEMORY_MB",
        0,
        "MiB that opened models may hold in one process, counted as 4 and one and a quarter of its files for each; "
        "beyond it those that are not in use are closed, first what was asked for longest ago. A model that is in use "
        "stays, and one that is larger than this is opened nevertheless. 0 = a quarter of the machine's memory, or of "
        "the cgroup's where that has less",
        validate.Range(0, 2**24),
    )


@dataclass(frozen=True, kw_only=True)
class Api:
    """How requests are answered."""

    limits: bool = setting(
        "COATCHECK_LIMITS",
        True,
        "`false`: the rates and the monthly units of tiers hold nobody back; what is used is written down all the same",
    )
    max_batch_items: int = setting("COATCHECK_MAX_BATCH_ITEMS", 1000, "inputs in one request", validate.Range(1))
    inline_timeout_s: float = setting(
        "COATCHECK_INLINE_TIMEOUT_S",
        10.0,
        "how long a model may take for one request that the API answers itself (`inline: true`), all inputs of a batch "
        "together, at most 30; longer is 422 `TIMED_OUT`. A job may take `COATCHECK_RUN_TIMEOUT_S`",
        [rules.POSITIVE, validate.Range(max=30)],
    )
    default_wait_s: float = setting(
        "COATCHECK_DEFAULT_WAIT_S", 10.0, "how long `/predict` waits for a model that is not inline", validate.Range(0)
    )
    max_waiters: int = setting(
        "COATCHECK_MAX_WAITERS",
        32,
        "requests of one process that may wait at once, a quarter of them of one tenant; others are answered at once",
        validate.Range(0),
    )
    max_streams: int = setting(
        "COATCHECK_MAX_STREAMS",
        32,
        "open event streams of one process, a quarter of them of one tenant; more are 503",
        validate.Range(0),
    )
    request_threads: int = setting(
        "COATCHECK_REQUEST_THREADS",
        96,
        "other requests with a key that one process answers at once, three quarters of them of one tenant; more are "
        "429 or 503",
        validate.Range(1, 1024),
    )
    max_predictions: int = setting(
        "COATCHECK_MAX_PREDICTIONS",
        0,
        "requests to predict that one process answers at once when more come than it can answer, three quarters of "
        "them of one tenant while others ask too. Else 32 are; others wait, and are 503 `BUSY` where that takes long; "
        "0 = as many as CPUs. See [sizing.md](sizing.md)",
        validate.Range(0, 256),
    )
    max_errors: int = setting(
        "COATCHECK_MAX_ERRORS",
        20,
        "errors that a key, or a network without one, may make at once (one more every 3 s) before it is held back: "
        "warned, then slowed, then blocked, each time for longer; 0 = as many as it likes. See "
        "[access.md](access.md#when-errors-repeat)",
        validate.Range(0, 10_000),
    )

    @property
    def threads(self) -> int:
        """Those of one process: one for everything that has a place or waits for one, and some for what needs none."""
        predictions = max(self.max_predictions, AT_EASE) + MOST_KEPT
        return self.max_waiters + self.max_streams + self.request_threads + predictions + KEYLESS_THREADS


@dataclass(frozen=True, kw_only=True)
class Files:
    """Clients' files, and where they may come from."""

    max_upload_bytes: int = setting("COATCHECK_MAX_UPLOAD_BYTES", 2**30, "the largest file", validate.Range(1))
    max_unpacked_bytes: int = setting(
        "COATCHECK_MAX_UNPACKED_BYTES", 8 * 2**30, "the largest file after gunzip", validate.Range(1)
    )
    input_buckets: tuple[str, ...] = setting(
        "COATCHECK_INPUT_BUCKETS",
        (),
        "buckets whose signed URLs may be an `input_url`, by commas: "
        "`https://s3.eu-west-1.amazonaws.com/their-bucket` (also as `their-bucket.s3.…`)",
        rules.buckets,
    )
    input_private_buckets: tuple[str, ...] = setting(
        "COATCHECK_INPUT_PRIVATE_BUCKETS",
        (),
        "the same, for stores at addresses that are not public, or without TLS; names and numbers as with "
        "`COATCHECK_WEBHOOK_HOSTS`, and a bucket in our own store by `S3_ENDPOINT_URL`'s very host and port, but not "
        "`S3_BUCKET`",
        rules.buckets,
    )
    upload_s: int = setting(
        "COATCHECK_UPLOAD_S", 900, "how long the address of an upload is good for", validate.Range(1, 86_400)
    )
    download_s: int = setting(
        "COATCHECK_DOWNLOAD_S", 3600, "how long the address of a result is good for", validate.Range(1, 604_800)
    )


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """The life of a job."""

    ttl_s: int = setting(
        "COATCHECK_JOB_TTL_S",
        86_400,
        "a job not done by then is `expired`, if it does not say `expires_in_s`",
        validate.Range(1, 10 * 365 * 86_400),
    )
    run_timeout_s: int = setting(
        "COATCHECK_RUN_TIMEOUT_S",
        300,
        "how long one attempt may run, if the job does not say `timeout_s`",
        validate.Range(1),
    )
    grace_s: float = setting(
        "COATCHECK_GRACE_S",
        20.0,
        "how long a worker asked to stop goes on, then gives back; compose's `stop_grace_period` has to be 20 s more",
        validate.Range(0),
    )
    lease_s: float = setting("COATCHECK_LEASE_S", 20.0, "how long a claim holds without a heartbeat", rules.POSITIVE)
    heartbeat_s: float = setting("COATCHECK_HEARTBEAT_S", 5.0, "at most a third of the lease", rules.POSITIVE)
    max_attempts: int = setting("COATCHECK_MAX_ATTEMPTS", 4, "claims of one job", validate.Range(1))
    max_losses: int = setting(
        "COATCHECK_MAX_LOSSES", 3, "workers one job may lose before it is `failed/WORKER_LOST`", validate.Range(1)
    )
    usage_keep_days: int = setting(
        "COATCHECK_USAGE_KEEP_DAYS",
        90,
        "how long the ledger keeps each job's row; its days stay",
        validate.Range(1, 36500),
    )


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """Calls to receivers."""

    hosts: tuple[str, ...] = setting(
        "COATCHECK_WEBHOOK_HOSTS",
        (),
        "receivers, by commas, that may be without TLS, on any port, or at an address that is not public: "
        "`hooks.internal:8080`. A name must not lead to this machine or to an engine's; a number (`10.0.0.7:8080`) "
        "may, but never to loopback or to an engine itself. What a receiver answers is in tenants' logs only if its "
        "address is public",
        rules.receivers,
    )
    loopback: tuple[int, ...] = setting(
        "COATCHECK_WEBHOOK_LOOPBACK",
        (),
        "ports of this machine, by commas, 1024 and higher and not our own, at which receivers may be as `127.0.0.1`, "
        "`[::1]` or `localhost`: `9000`. Refused with `COATCHECK_ENVIRONMENT=production`",
        rules.ports,
    )
    schedule: tuple[float, ...] = setting(
        "COATCHECK_WEBHOOK_SCHEDULE",
        rules.SCHEDULE,
        "seconds before each attempt of a delivery, ±20 %; the first is 0",
        rules.delays,
        items=float,
    )
    timeout_s: float = setting(
        "COATCHECK_WEBHOOK_TIMEOUT_S",
        15.0,
        "what one call may take in all, at most 30",
        [rules.POSITIVE, validate.Range(max=30)],
    )
    disable_s: int = setting(
        "COATCHECK_WEBHOOK_DISABLE_S",
        5 * 86_400,
        "an endpoint that has failed for so long, and at least 20 times in a row, is switched off",
        validate.Range(1),
    )
    senders: int = setting(
        "COATCHECK_WEBHOOK_SENDERS",
        64,
        "calls that one io worker makes at once; one tenant has at most a quarter of them",
        validate.Range(1, 512),
    )
