"""Metrics for Prometheus, without anybody's text in them.

Format: Prometheus text exposition. Times are in seconds, sizes in bytes or tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from qwen_app.gpu.gpu_meter import GpuReading
from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest, Queued
from qwen_app.service import Service

# Codes of the errors that are ours, and of refusals for lack of room. Alerts look at their rates, and no rate is seen
# of a counter that begins at 1: these begin at 0.
ALERTED = (
    "disk_full",
    "engine_error",
    "out_of_memory",
    "service_unavailable",
    "upstream_error",
    "rate_limit_exceeded",
    "server_full",
)
LEFT = "left"  # the outcome of requests whose reader went before the end
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
GAPS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
SPEEDS = (1, 2, 5, 10, 20, 40, 60, 80, 100, 150, 200, 400)

# Of a card, by their names: what they mean, and the field of a reading.
GPU_FIGURES = {
    "busy_ratio": ("share of the last moments in which the card computed", "busy_share"),
    "memory_used_bytes": ("memory taken on the card, by all processes", "memory_used_bytes"),
    "memory_total_bytes": ("memory of the card", "memory_total_bytes"),
    "temperature_celsius": ("temperature of the card's chip", "temperature_celsius"),
}

# Fields of OpenAI's and Anthropic's APIs that we ignore. Any other name counts as "other", so that no caller can
# make up new series.
_IGNORED = """
cache_control cache_prompt cache_salt container context_management guided_decoding_backend id_slot inference_geo input
keep_alive max_tool_calls mcp_servers metadata num_ctx options prediction priority prompt_cache_key
prompt_cache_retention reasoning reasoning_effort request_id safety_identifier service_tier skip_special_tokens
spaces_between_special_tokens speed store stream_options.continuous_usage_stats stream_options.include_obfuscation
text.verbosity thinking tools verbosity
"""
KNOWN_FIELDS = frozenset(_IGNORED.split())


class Telemetry:
    """Counts what the service's answers and the API's responses were. One registry each, nothing global.

    ``clock`` gives seconds.
    """

    def __init__(self, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        self._registry.register(_State(service))
        ProcessCollector(registry=self._registry)  # memory, processor time and open files of this process
        self._make_answer_metrics()
        self._responses = self._counter("http_responses", "API responses by route and status", ("route", "status"))
        self._ignored = self._counter("ignored_fields", "request fields the API ignored", ("field",))
        service.observe(self.watch)

    def _make_answer_metrics(self) -> None:
        self._admitted = self._counter("requests_admitted", "requests that got a place in the queue")
        self._ended = self._counter("requests_ended", "requests by how they ended, or the error's code", ("outcome",))
        for code in ALERTED:
            self._ended.labels(code)
        self._prompt = self._counter(
            "prompt_tokens", "prompt tokens of finished answers: those of a request for n answers count n times"
        )
        self._reused = self._counter("reused_tokens", "prompt tokens that were still held and cost nothing")
        self._made = self._counter("completion_tokens", "tokens of finished answers")
        self._off_schema = self._counter("calls_off_schema", "calls of tools not strict that break their schema")
        self._queued_s = self._histogram("queue_seconds", "wait until a slot was free")
        self._first_s = self._histogram("first_token_seconds", "submission to first token")
        self._gap_s = self._histogram("inter_token_seconds", "wait for the next piece of an answer", GAPS_S)
        self._total_s = self._histogram("request_seconds", "submission to end")
        self._speed = self._histogram("tokens_per_second", "decoding speed of one answer", SPEEDS)

    def _counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"qwen_{name}", meaning, labels, registry=self._registry)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float] = SECONDS) -> Histogram:
        return Histogram(f"qwen_{name}", meaning, buckets=buckets, registry=self._registry)

    def watch(self, request: GenerationRequest) -> _Answer:
        """An observer of the answer to ``request``, for the service."""
        return _Answer(self, self._clock)

    def admitted(self) -> None:
        """A request got its place in the queue."""
        self._admitted.inc()

    def waited(self, gap_s: float) -> None:
        """A piece of an answer came ``gap_s`` seconds after the one before."""
        self._gap_s.observe(gap_s)

    def ended(self, end: Finished | Failed | None) -> None:
        """A request ended; None: its reader left."""
        if isinstance(end, Finished):
            self._record_end(end)
        else:
            self._ended.labels(end.error.code if end else LEFT).inc()

    def _record_end(self, end: Finished) -> None:
        self._ended.labels(end.reason).inc()
        self._prompt.inc(end.usage.prompt_tokens)
        self._reused.inc(end.usage.reused_tokens)
        self._made.inc(end.usage.completion_tokens)
        self._off_schema.inc(end.calls_off_schema)
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


class _Answer:
    """One answer as the service tells of it. Most events are pieces of text, and these leave first."""

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float]) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._last_at = 0.0
        self._admitted = False
        self._over = False

    def see(self, event: Event) -> None:
        if isinstance(event, Delta):
            now = self._clock()
            if self._last_at:
                self._telemetry.waited(now - self._last_at)
            self._last_at = now
        elif isinstance(event, Queued) and not self._admitted:  # told again whenever it moves up
            self._admitted = True
            self._telemetry.admitted()
        elif isinstance(event, Finished | Failed):
            self._over = True
            self._telemetry.ended(event)

    def end(self) -> None:
        if not self._over:
            self._telemetry.ended(None)


class _State(Collector):
    """What the service says of itself, asked when the metrics are read."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[GaugeMetricFamily]:
        health, info = self._service.health(), self._service.info()
        yield GaugeMetricFamily("qwen_ready", "1 when requests are taken", float(health.ready))
        yield GaugeMetricFamily("qwen_running", "answers being made", float(health.running))
        yield GaugeMetricFamily("qwen_waiting", "requests in the queue", float(health.queued))
        yield GaugeMetricFamily("qwen_slots", "answers that can be made at once", float(info.slots))
        yield GaugeMetricFamily("qwen_weights_bytes", "memory of the model's weights; 0: unknown", info.weights_bytes)
        yield GaugeMetricFamily("qwen_cache_bytes", "memory for conversations (KV cache); 0: unknown", info.cache_bytes)
        yield GaugeMetricFamily("qwen_heartbeat_age_seconds", "since the worker last moved", health.heartbeat_age_s)
        yield from _gpu_gauges(self._service.gpus.readings())

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()


def _gpu_gauges(readings: Sequence[GpuReading]) -> Iterable[GaugeMetricFamily]:
    """What each card tells of itself; ``gpu`` is its place among those that the model is on."""
    for name, (meaning, field) in GPU_FIGURES.items():
        gauge = GaugeMetricFamily(f"qwen_gpu_{name}", meaning, labels=("gpu",))
        for place, reading in enumerate(readings):
            value: float | None = getattr(reading, field)
            if value is not None:
                gauge.add_metric((str(place),), value)
        yield gauge
