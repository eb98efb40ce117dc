"""From a claimed delivery to what came of it: signed anew, called once, judged."""

from __future__ import annotations

import functools

import structlog

from core import errors, ids, metrics
from core.seal import Seal
from core.setting_groups import Webhooks
from webhooks import signing, signing_keys
from webhooks.http_post import Answer, Poster
from webhooks.outbox import Claimed, Done
from webhooks.receivers import Receivers
from webhooks.trouble import Trouble
from webhooks.verdict import Ending, Verdict, judge

log = structlog.get_logger()


class Sender:
    """Safe to share between threads."""

    def __init__(self, webhooks: Webhooks, seal: Seal, receivers: Receivers) -> None:
        self._schedule = webhooks.schedule
        #: Remembered, since the same few are needed all the time.
        self._open = functools.lru_cache(maxsize=10_000)(seal.open)
        self._poster = Poster(receivers, timeout_s=webhooks.timeout_s)

    def send(self, delivery: Claimed) -> Done:
        """Whatever goes wrong is in the answer: whoever asked has others to look after."""
        if delivery.url is None or not delivery.keys:
            return Done(delivery, Answer(0, error=Trouble.ENDPOINT_DISABLED), Verdict(Ending.FAILED))
        try:
            answer = self._call(delivery, delivery.url)
        except errors.SecretLost:
            answer = Answer(0, error=Trouble.SECRET_LOST)
        except Exception:
            # The loop waits for an answer to everything that was begun: a bug is one, in the log and to the tenant.
            log.exception("webhook_bug", delivery_id=ids.delivery_id(delivery.id))
            answer = Answer(0, error=Trouble.INTERNAL)
        verdict = judge(answer, delivery.event, tries=delivery.tries, schedule=self._schedule)
        self._tell(delivery, answer, verdict)
        return Done(delivery, answer, verdict)

    def _call(self, delivery: Claimed, url: str) -> Answer:
        body = delivery.body.encode()
        context = signing_keys.context((delivery.tenant_id, delivery.endpoint_id))
        keys = [self._open(key, context) for key in delivery.keys]
        return self._poster.post(
            url, body, signing.headers(ids.delivery_id(delivery.id), int(delivery.time_s), body, keys)
        )

    def _tell(self, delivery: Claimed, answer: Answer, verdict: Verdict) -> None:
        metrics.WEBHOOKS.labels("delivered" if answer.good else answer.error or str(answer.status)).inc()
        metrics.WEBHOOK_SECONDS.observe(answer.ms / 1000)
        log.info(
            "webhook_called",
            delivery_id=ids.delivery_id(delivery.id),
            tenant_id=str(delivery.tenant_id),
            event_type=delivery.event,
            attempt=delivery.attempt,
            status=answer.status,
            error_code=answer.error,
            duration_ms=answer.ms,
            ending=verdict.ending,
        )
