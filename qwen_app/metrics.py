"""Metrics for Prometheus, without anybody's text in them.

Format: Prometheus text exposition. Times are in seconds, sizes in bytes or tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest, Queued
from qwen_app.service import Service

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
SPEEDS = (1, 2, 5, 10, 20, 40, 60, 80, 100, 150, 200, 400)

# Fields of OpenAI's API that we ignore. Any other name counts as "other", so that no caller can make up new series.
KNOWN_FIELDS = frozenset(
    {"audio", "background", "best_of", "function_call", "functions", "include", "logit_bias", "max_tool_calls"}
    | {"metadata", "modalities", "prediction", "previous_response_id", "prompt_cache_key", "reasoning"}
    | {"reasoning_effort", "safety_identifier", "service_tier", "store", "suffix", "verbosity", "web_search_options"}
)


class Telemetry:
    """Counts what the service's answers and the API's responses were. One registry each, nothing global."""

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_State(service))
        self._make_answer_metrics()
        self._responses = self._counter("http_responses", "API responses by route and status", ("route", "status"))
        self._ignored = self._counter("ignored_fields", "request fields the API ignored", ("field",))
        service.observe(self.record)

    def _make_answer_metrics(self) -> None:
        self._admitted = self._counter(
            "requests_admitted", "requests that got a place in the queue; clients left those that never end"
        )
        self._ended = self._counter("requests_ended", "requests by how they ended", ("outcome",))
        self._prompt = self._counter("prompt_tokens", "prompt tokens of finished requests")
        self._reused = self._counter("reused_tokens", "prompt tokens that were still held and cost nothing")
        self._made = self._counter("completion_tokens", "tokens of finished answers")
        self._queued_s = self._histogram("queue_seconds", "wait until a slot was free")
        self._first_s = self._histogram("first_token_seconds", "submission to first token")
        self._total_s = self._histogram("request_seconds", "submission to end")
        self._speed = self._histogram("tokens_per_second", "decoding speed of one answer", SPEEDS)

    def _counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"qwen_{name}", meaning, labels, registry=self._registry)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float] = SECONDS) -> Histogram:
        return Histogram(f"qwen_{name}", meaning, buckets=buckets, registry=self._registry)

    def record(self, request: GenerationRequest, event: Event) -> None:
        """Called for every event of every answer, so the frequent kind leaves first."""
        if isinstance(event, Delta):
            return
        if isinstance(event, Queued):
            self._admitted.inc()
        elif isinstance(event, Failed):
            self._ended.labels(event.error.code).inc()
        elif isinstance(event, Finished):
            self._record_end(event)

    def _record_end(self, end: Finished) -> None:
        self._ended.labels(end.reason).inc()
        self._prompt.inc(end.usage.prompt_tokens)
        self._reused.inc(end.usage.reused_tokens)
        self._made.inc(end.usage.completion_tokens)
        self._queued_s.observe(end.timings.queued_s)
        self._first_s.observe(end.timings.first_token_s)
        self._total_s.observe(end.timings.total_s)
        speed = end.timings.tokens_per_s(end.usage.completion_tokens)
        if speed:
            self._speed.observe(speed)

    def count_response(self, route: str, status: int) -> None:
        self._responses.labels(route, str(status)).inc()

    def count_ignored_fields(self, names: Iterable[str]) -> None:
        for name in names:
            self._ignored.labels(name if name in KNOWN_FIELDS else "other").inc()

    def exposition(self) -> bytes:
        return generate_latest(self._registry)


class _State(Collector):
    """What the service says of itself, asked when the metrics are read."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[GaugeMetricFamily]:
        health = self._service.health()
        yield GaugeMetricFamily("qwen_ready", "1 when requests are taken", float(health.ready))
        yield GaugeMetricFamily("qwen_running", "answers being made", float(health.running))
        yield GaugeMetricFamily("qwen_waiting", "requests in the queue", float(health.queued))
        yield GaugeMetricFamily("qwen_heartbeat_age_seconds", "since the worker last moved", health.heartbeat_age_s)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()
